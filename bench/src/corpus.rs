//! A mailbox as people have it, the same in every run: conversations, subjects that repeat, dates out of order, plain
//! and multipart messages. Message number `n` is a function of `n` alone.

use std::fmt::Write as _;

use crate::message::{Chance, WORDS};

/// Messages are dealt in blocks: so many conversations of so many messages, interleaved.
const THREADS: u64 = 10;
const THREAD_LENGTH: u64 = 5;
const BLOCK: u64 = THREADS * THREAD_LENGTH;
/// The first message's time: 1 January 2024, in seconds of Unix time. The next ones follow every ten minutes.
const FIRST: i64 = 1_704_067_200;
const APART: i64 = 600;
/// Clocks and queues: `Date:` differs from the order of arrival by up to so many seconds.
const ASTRAY: usize = 2 * 86_400;
/// One message in so many has [`RARE`] in its text.
const RARE_EVERY: u64 = 97;
/// A word that few messages contain.
pub const RARE: &str = "quinquennial";

/// One message with what APPEND says about it.
pub struct Message {
    /// CRLF line ends; no line begins with a dot.
    pub text: String,
    /// A flag list without its parentheses.
    pub flags: &'static str,
    /// RFC 3501 date-time.
    pub internal_date: String,
}

/// Message number `number`.
pub fn message(number: u64, to: &str) -> Message {
    let mut chance = Chance::new(number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66);
    let arrived = FIRST + number as i64 * APART;
    let mut text = String::with_capacity(3_000);
    headers(&mut text, number, to, arrived - chance.below(ASTRAY) as i64, &mut chance);
    let prose = prose(number, &mut chance);
    match number % 6 {
        0 | 1 => alternative(&mut text, number, &prose),
        2 => attached(&mut text, number, &prose, &mut chance),
        _ => {
            text.push_str("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n");
            text.push_str(&prose);
        }
    }
    let flags = match number % 10 {
        0..6 => "\\Seen",
        6 => "\\Seen \\Answered",
        7 => "\\Seen \\Flagged",
        _ => "",
    };
    Message { text, flags, internal_date: date_time(arrived) }
}

/// Where in its conversation a message stands: the conversation's number, and the numbers of the messages before it.
fn place(number: u64) -> (u64, Vec<u64>) {
    let (block, within) = (number / BLOCK, number % BLOCK);
    let (thread, position) = (within % THREADS, within / THREADS);
    let thread_id = block * THREADS + thread;
    // Three conversations of ten are single messages.
    if thread < 3 {
        return (number * THREADS + thread, Vec::new());
    }
    // Every fourth reply answers the first message, so that conversations have branches.
    let first = block * BLOCK + thread;
    let before: Vec<u64> =
        if position == 4 { vec![first] } else { (0..position).map(|earlier| first + earlier * THREADS).collect() };
    (thread_id, before)
}

fn headers(text: &mut String, number: u64, to: &str, date: i64, chance: &mut Chance) {
    let (thread, before) = place(number);
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut topic = Chance::new(thread.wrapping_mul(0xD134_2543_DE82_EF95) | 1);
    let subject: Vec<&str> = (0..4).map(|_| words[topic.below(words.len())]).collect();
    let reply = if before.is_empty() { "" } else { ["Re: ", "RE: ", "Re: Re: "][chance.below(3)] };
    let sender = chance.below(500);
    let day = date_822(date);
    write!(
        text,
        "Return-Path: <sender{sender}@example.org>\r\n\
         Received: from relay{host}.example.org (relay{host}.example.org [192.0.2.{host}])\r\n\
         \tby mx.example.com with ESMTPS id {number:08x}; {day}\r\n\
         Message-ID: <{number}.corpus@example.org>\r\n\
         Date: {day}\r\n\
         From: Sender Number {sender} <sender{sender}@example.org>\r\n\
         To: {to}\r\n\
         Cc: \"The Team\" <team@example.org>, Someone Else <else@example.net>\r\n\
         Subject: {reply}{subject} {thread}\r\n\
         MIME-Version: 1.0\r\n",
        host = number % 200 + 1,
        subject = subject.join(" "),
    )
    .expect("writing to a String does not fail");
    if number % 8 == 7 {
        let _ = write!(text, "List-Id: The list <list{}.example.org>\r\nPrecedence: bulk\r\n", number % 5);
    }
    if number.is_multiple_of(13) {
        text.push_str("X-Spam-Flag: YES\r\n");
    }
    if let Some(last) = before.last() {
        let _ = write!(text, "In-Reply-To: <{last}.corpus@example.org>\r\nReferences:");
        for id in &before {
            let _ = write!(text, " <{id}.corpus@example.org>");
        }
        text.push_str("\r\n");
    }
}

fn prose(number: u64, chance: &mut Chance) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut text = String::new();
    for _ in 0..8 + chance.below(16) {
        let mut column = 0;
        while column < 60 {
            let word = words[chance.below(words.len()) * chance.below(words.len()) / words.len()];
            text.push_str(word);
            text.push(' ');
            column += word.len() + 1;
        }
        text.push_str("end.\r\n");
    }
    if number.is_multiple_of(RARE_EVERY) {
        let _ = write!(text, "the {RARE} report\r\n");
    }
    text
}

fn alternative(text: &mut String, number: u64, prose: &str) {
    let html = prose.replace("end.", "<b>end.</b><br>");
    let _ = write!(
        text,
        "Content-Type: multipart/alternative; boundary=\"b{number}\"\r\n\r\n\
         --b{number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{prose}\r\n\
         --b{number}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>{html}</body></html>\r\n\
         --b{number}--\r\n"
    );
}

fn attached(text: &mut String, number: u64, prose: &str, chance: &mut Chance) {
    let _ = write!(
        text,
        "Content-Type: multipart/mixed; boundary=\"b{number}\"\r\n\r\n\
         --b{number}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{prose}\r\n\
         --b{number}\r\nContent-Type: application/pdf; name=\"report{number}.pdf\"\r\n\
         Content-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"report{number}.pdf\"\r\n\r\n"
    );
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for _ in 0..12 {
        text.extend((0..76).map(|_| char::from(LETTERS[chance.below(64)])));
        text.push_str("\r\n");
    }
    let _ = write!(text, "--b{number}--\r\n");
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Year, month (0 to 11) and day of so many days after 1 January 1970, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, usize, i64) {
    let (mut year, mut left) = (1970, days);
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    while left >= 365 + i64::from(leap(year)) {
        left -= 365 + i64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    (year, month, left + 1)
}

fn clock(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02} +0000", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// RFC 5322 §3.3.
pub fn date_822(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400);
    let (year, month, day) = civil(days);
    format!("{}, {day} {} {year} {}", DAYS[days.rem_euclid(7) as usize], MONTHS[month], clock(seconds))
}

/// RFC 3501's date-time.
pub fn date_time(seconds: i64) -> String {
    format!("{:>2}-{} {}", day_of(seconds), month_year(seconds), clock(seconds))
}

fn day_of(seconds: i64) -> i64 {
    civil(seconds.div_euclid(86_400)).2
}

fn month_year(seconds: i64) -> String {
    let (year, month, _) = civil(seconds.div_euclid(86_400));
    format!("{}-{year}", MONTHS[month])
}

/// RFC 3501's date of the arrival of message `number`, for SEARCH.
pub fn date_of(number: u64) -> String {
    date(FIRST + number as i64 * APART)
}

/// RFC 3501's date.
pub fn date(seconds: i64) -> String {
    format!("{}-{}", day_of(seconds), month_year(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_822(FIRST), "Mon, 1 Jan 2024 00:00:00 +0000");
        assert_eq!(date_822(1_709_210_096), "Thu, 29 Feb 2024 12:34:56 +0000");
        assert_eq!(date_time(1_735_689_599), "31-Dec-2024 23:59:59 +0000");
        assert_eq!(date_time(FIRST), " 1-Jan-2024 00:00:00 +0000");
        assert_eq!(date_of(144), "2-Jan-2024");
    }

    #[test]
    fn conversations_refer_to_earlier_messages_of_the_same_subject() {
        let subject = |text: &str| {
            let line = text.lines().find(|line| line.starts_with("Subject: ")).unwrap().to_owned();
            line["Subject: ".len()..].trim_start_matches("Re: ").trim_start_matches("RE: ").to_owned()
        };
        let mut replies = 0;
        for number in 0..200 {
            let text = message(number, "a@example.com").text;
            let (_, before) = place(number);
            for earlier in &before {
                assert!(*earlier < number);
                assert_eq!(subject(&message(*earlier, "a@example.com").text), subject(&text), "{number} and {earlier}");
            }
            replies += usize::from(!before.is_empty());
        }
        assert_eq!(replies, 200 * 7 * 4 / 50);
    }

    #[test]
    fn messages_are_the_same_in_every_run_and_well_formed() {
        for number in 0..100 {
            let one = message(number, "a@example.com");
            assert_eq!(one.text, message(number, "a@example.com").text);
            assert!((1_000..5_000).contains(&one.text.len()), "{}", one.text.len());
            assert!(!one.text.contains("\r\n."));
            assert!(one.text.ends_with("\r\n"));
            assert_eq!(one.text.matches('\n').count(), one.text.matches("\r\n").count());
            assert_eq!(one.text.contains(RARE), number % RARE_EVERY == 0);
        }
    }
}
