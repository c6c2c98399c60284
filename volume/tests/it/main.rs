//! Against an S3 server that we did not write, with a proxy between that does what networks and stores do on bad days.
#![allow(missing_docs)]

mod faults;
mod folder;
mod pack;
mod reading;
mod s3;
mod settings;
mod support;
