//! ORDEREDSUBJECT (RFC 5256 §3): one thread a base subject, its first message the parent of the others.

use super::Message;
use zcluster_api::sort::ThreadNode;

pub(super) fn threads(messages: &[Message]) -> Vec<ThreadNode> {
    let mut order: Vec<&Message> = messages.iter().collect();
    order.sort_unstable_by_key(|m| (m.subject, m.date, m.uid));
    let mut threads: Vec<&[&Message]> = order.chunk_by(|a, b| a.subject == b.subject).collect();
    threads.sort_by_key(|thread| thread.first().map(|m| (m.date, m.uid)));
    let mut out = Vec::with_capacity(messages.len());
    for thread in threads {
        let others = u32::try_from(thread.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let node = |(i, m): (usize, &&Message)| ThreadNode { uid: m.uid, children: if i == 0 { others } else { 0 } };
        out.extend(thread.iter().enumerate().map(node));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::index::NONE;
    use super::*;

    #[test]
    fn subjects_in_order_of_their_first_messages() {
        let message = |uid, subject, date| Message {
            uid,
            date,
            id: NONE,
            references: 0..0,
            subject,
            no_subject: false,
            reply: false,
        };
        let all = [message(1, 1, 5), message(2, 0, 9), message(3, 1, 7), message(4, 1, 6), message(5, 0, 9)];
        let shown: Vec<(u32, u32)> = threads(&all).iter().map(|n| (n.uid, n.children)).collect();
        assert_eq!(shown, [(1, 2), (4, 0), (3, 0), (2, 1), (5, 0)]);
    }
}
