//! Whole messages through the public interface.

mod corpus;
mod garbage;
mod printer;
mod samples;
mod sections;
