//! SORT, THREAD (RFC 5256) and SEARCH of a large folder.

use std::time::Instant;

use anyhow::Result;

use crate::corpus;
use crate::options::ImapOptions;
use crate::stats::{Recorder, Report};

/// What is asked of the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Question {
    /// SORT (DATE).
    SortDate,
    /// SORT (SUBJECT).
    SortSubject,
    /// THREAD REFERENCES.
    Thread,
    /// By flags.
    SearchFlags,
    /// A word in a header field.
    SearchHeader,
    /// By the day of arrival.
    SearchSince,
    /// A rare word in the text of 1,000 messages.
    SearchText,
}

impl Question {
    /// All of them in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::SortDate,
        Self::SortSubject,
        Self::Thread,
        Self::SearchFlags,
        Self::SearchHeader,
        Self::SearchSince,
        Self::SearchText,
    ];

    /// The load's name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SortDate => "SORT (DATE)",
            Self::SortSubject => "SORT (SUBJECT)",
            Self::Thread => "THREAD REFERENCES",
            Self::SearchFlags => "SEARCH by flags",
            Self::SearchHeader => "SEARCH HEADER SUBJECT",
            Self::SearchSince => "SEARCH SINCE",
            Self::SearchText => "SEARCH TEXT in 1,000",
        }
    }

    /// Whether it is so quick that one answer says nothing about the server's CPU time, which is told in hundredths.
    pub fn is_quick(self) -> bool {
        self == Self::SearchFlags
    }

    fn command(self, messages: u64) -> String {
        match self {
            Self::SortDate => "UID SORT (DATE) UTF-8 ALL".to_owned(),
            Self::SortSubject => "UID SORT (SUBJECT) UTF-8 ALL".to_owned(),
            Self::Thread => "UID THREAD REFERENCES UTF-8 ALL".to_owned(),
            Self::SearchFlags => "UID SEARCH UNSEEN NOT FLAGGED".to_owned(),
            Self::SearchHeader => "UID SEARCH HEADER SUBJECT budget".to_owned(),
            Self::SearchSince => format!("UID SEARCH SINCE {}", corpus::date_of(messages * 3 / 4)),
            Self::SearchText => format!("UID SEARCH 1:1000 TEXT {}", corpus::RARE),
        }
    }

    /// How many messages must be named, where it is the same whatever other loads have done to the folder.
    fn expected(self, messages: u64) -> Option<u64> {
        matches!(self, Self::SortDate | Self::SortSubject | Self::Thread).then_some(messages)
    }
}

/// Runs the load: `count` times the question, each answered in full.
pub async fn run(options: &ImapOptions, question: Question) -> Result<Report> {
    crate::check(&options.target)?;
    super::with_clients(options, question.name(), 1, move |mut client, budget, _| async move {
        let mut recorder = Recorder::default();
        let command = question.command(client.messages);
        while budget.take() {
            let started = Instant::now();
            let outcome = client.run(&command).await?;
            let took = started.elapsed();
            let wanted = question.expected(client.messages);
            if !outcome.ok {
                recorder.error(&outcome.line);
            } else if outcome.named == 0 || wanted.is_some_and(|wanted| wanted != outcome.named) {
                recorder.error(&format!("{command} names {} of {} messages", outcome.named, client.messages));
            } else {
                recorder.record(took);
            }
        }
        Ok(recorder)
    })
    .await
}
