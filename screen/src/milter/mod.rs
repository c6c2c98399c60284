//! Milters: filters that speak Sendmail's milter protocol, version 6 (libmilter's `mfdef.h`), such as OpenDKIM. Each is
//! told the whole transaction at once, after the end of data.

mod changes;
mod client;
mod codec;

pub use client::{DefaultAction, Milter, MilterLimits, Said};
