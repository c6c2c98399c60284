//! One file per verb, and what those about scripts share.

pub mod authenticate;
pub mod capability;
pub mod checkscript;
pub mod deletescript;
pub mod getscript;
pub mod havespace;
pub mod listscripts;
pub mod logout;
pub mod noop;
pub mod putscript;
pub mod renamescript;
mod scripts;
pub mod setactive;
pub mod starttls;
pub mod unauthenticate;
