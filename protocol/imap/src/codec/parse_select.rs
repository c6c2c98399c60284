//! SELECT's and EXAMINE's arguments.

use super::command::{Qresync, Request};
use super::cursor::{Cursor, Fault, Parse};
use super::sequence::SequenceSet;

/// `select = "SELECT" SP mailbox [select-params]` (RFC 3501 §9, RFC 4466 §6, RFC 7162 §7).
pub(super) fn select(c: &mut Cursor<'_>, read_only: bool) -> Parse<Request> {
    let mailbox = c.mailbox()?;
    let (mut condstore, mut qresync) = (false, None);
    if c.eat(b' ') {
        c.list(|c| {
            if c.eat_word("CONDSTORE") {
                condstore = true;
                return Ok(());
            }
            if !c.eat_word("QRESYNC") {
                return Err(Fault::Bad("no such SELECT parameter"));
            }
            c.sp()?;
            qresync = Some(Box::new(parameters(c)?));
            Ok(())
        })?;
    }
    Ok(Request::Select { mailbox, read_only, condstore, qresync })
}

/// `"(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"` (RFC 7162 §7).
fn parameters(c: &mut Cursor<'_>) -> Parse<Qresync> {
    c.expect(b'(', "a parenthesis was expected")?;
    let uid_validity = c.nz_number()?;
    c.sp()?;
    let modseq = c.number64()?;
    let (mut known, mut matches) = (None, None);
    let mut more = c.eat(b' ');
    if more && c.peek() != Some(b'(') {
        known = Some(SequenceSet::parse_known(c)?);
        more = c.eat(b' ');
    }
    if more {
        c.expect(b'(', "a parenthesis was expected")?;
        let numbers = SequenceSet::parse_known(c)?;
        c.sp()?;
        let uids = SequenceSet::parse_known(c)?;
        c.expect(b')', "a parenthesis is not closed")?;
        if numbers.len() != uids.len() {
            return Err(Fault::Bad("as many sequence numbers as UIDs were expected"));
        }
        matches = Some((numbers, uids));
    }
    c.expect(b')', "a parenthesis is not closed")?;
    Ok(Qresync { uid_validity, modseq, known, matches })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Parse<Qresync> {
        let mut c = Cursor::new(text.as_bytes());
        let Request::Select { qresync: Some(q), .. } = select(&mut c, false)? else {
            return Err(Fault::Bad("no QRESYNC"));
        };
        c.end().map(|()| *q)
    }

    #[test]
    fn examples_of_rfc_7162() {
        let q = read("INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))").unwrap();
        assert_eq!((q.uid_validity, q.modseq), (67_890_007, 20_050_715_194_045_000));
        assert_eq!(q.known.unwrap().to_string(), "41,43:211,214:541");
        let q = read("INBOX (QRESYNC (67890007 90060115194045000 41:211,214:541 (1,3,5,7 41,43,45,47)))").unwrap();
        let (numbers, uids) = q.matches.unwrap();
        assert_eq!((numbers.to_string(), uids.to_string()), ("1,3,5,7".into(), "41,43,45,47".into()));
        assert!(read("INBOX (CONDSTORE QRESYNC (1 2))").unwrap().known.is_none());
        for bad in [
            "x (QRESYNC)",
            "x (QRESYNC 1 2)",
            "x (QRESYNC (0 1))",
            "x (QRESYNC (1))",
            "x (QRESYNC (1 2 *))",
            "x (QRESYNC (1 2 $))",
            "x (QRESYNC (1 2 1:3 (1:2 1)))",
            "x (QRESYNC (1 2 1:3 1:3))",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
