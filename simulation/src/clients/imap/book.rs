//! What a mail program keeps across connections.

use super::view::Memory;

/// Folders that hold messages: INBOX and `F1`-`F3`.
pub const FOLDERS: u32 = 4;

/// A mail program's memory of its account.
#[derive(Default)]
pub struct Book {
    /// Which client, for reports.
    pub client: u32,
    folders: [Memory; FOLDERS as usize],
    created: [bool; FOLDERS as usize],
}

impl Book {
    /// An empty one.
    pub fn new(client: u32) -> Self {
        Book { client, ..Book::default() }
    }
    /// What is remembered of a folder (modulo).
    pub fn folder(&mut self, folder: u32) -> &mut Memory {
        &mut self.folders[(folder % FOLDERS) as usize]
    }
    /// Whether the server has said that the folder is there. INBOX always is.
    pub fn exists(&self, folder: u32) -> bool {
        folder == 0 || self.created[(folder % FOLDERS) as usize]
    }
    /// The server has said so.
    pub fn set_exists(&mut self, folder: u32) {
        self.created[(folder % FOLDERS) as usize] = true;
    }
}

/// A mail folder's name on the wire.
pub fn folder_name(folder: u32) -> &'static str {
    ["INBOX", "F1", "F2", "F3"][(folder % FOLDERS) as usize]
}

/// The name of a flag or keyword by the plan's number. `\Deleted` is no part of them: it belongs to expunging.
pub fn flag_name(flag: u32) -> &'static str {
    const FLAGS: [&str; 8] = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "k0", "k1", "k2"];
    FLAGS[flag as usize % FLAGS.len()]
}
