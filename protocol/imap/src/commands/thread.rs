//! THREAD (RFC 5256 §3).

use super::search::prepare;
use crate::codec::command::Thread;
use crate::codec::write::number;
use crate::errors::{Answer, Reply};
use crate::session::Session;
use crate::session::numbers::{Numbers, without};
use zcluster_api::sort::ThreadNode;

/// Nodes written before the output is looked at.
const NODES_PER_LOOK: usize = 1_000;

pub async fn thread(s: &mut Session, tag: &str, thread: &Thread) -> Answer {
    let query = prepare(s, &thread.key).await?;
    let (mailbox, view) = (s.selected_mailbox()?, s.view()?);
    // What the client does not know yet, or knows to be gone, must not take part.
    let known = without(&view.uids, &view.gone);
    let within = query.within.map_or(known.clone(), |w| w.intersect(&known));
    let folder = view.folder;
    let nodes = s.during(tag, mailbox.threads(folder, Some(within), query.expr, thread.threading)).await??;
    let numbers = if thread.uid { None } else { Some(Numbers::new(&s.view()?.uids)) };
    s.out.extend_from_slice(if nodes.is_empty() { b"* THREAD" } else { b"* THREAD " });
    let mut writer = Writer::default();
    for some in nodes.chunks(NODES_PER_LOOK) {
        for node in some {
            writer.node(node, numbers.as_ref(), &mut s.out);
        }
        s.spill_if_full().await?;
    }
    s.out.extend_from_slice(b"\r\n");
    if thread.uid
        && let Some(view) = s.selected.as_deref_mut()
    {
        view.tell_gone(&mut s.out);
    }
    Ok(Reply::Ok("THREAD completed".into()))
}

/// Writes `thread-list = "(" (thread-members / thread-nested) ")"` (RFC 5256 §5) as the nodes come.
#[derive(Default)]
struct Writer {
    /// Children still to come of each node that branches.
    branches: Vec<u32>,
    /// The node to come is the only child of the one before.
    goes_on: bool,
}

impl Writer {
    fn node(&mut self, node: &ThreadNode, numbers: Option<&Numbers>, out: &mut Vec<u8>) {
        out.push(if std::mem::take(&mut self.goes_on) { b' ' } else { b'(' });
        if node.uid > 0 {
            number(numbers.map_or(node.uid, |n| n.of(node.uid).unwrap_or(0)).into(), out);
        }
        match node.children {
            0 => self.end(out),
            1 => self.goes_on = true,
            n => {
                if node.uid > 0 {
                    out.push(b' ');
                }
                self.branches.push(n);
            }
        }
    }

    /// Closes the list that a childless node ends, and those that end with it.
    fn end(&mut self, out: &mut Vec<u8>) {
        out.push(b')');
        while let Some(left) = self.branches.last_mut() {
            *left -= 1;
            if *left > 0 {
                return;
            }
            self.branches.pop();
            out.push(b')');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(nodes: &[(u32, u32)]) -> String {
        let (mut out, mut writer) = (Vec::new(), Writer::default());
        for (uid, children) in nodes {
            writer.node(&ThreadNode { uid: *uid, children: *children }, None, &mut out);
        }
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn lists() {
        // RFC 5256 §4: the examples of the THREAD response.
        let nodes = [(2, 0), (3, 1), (6, 2), (4, 1), (23, 0), (44, 1), (7, 1), (96, 0)];
        assert_eq!(shown(&nodes), "(2)(3 6 (4 23)(44 7 96))");
        assert_eq!(shown(&[(0, 2), (3, 0), (5, 0)]), "((3)(5))");
        assert_eq!(shown(&[(1, 2), (2, 3), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0)]), "(1 (2 (3)(4)(5))(6))(7)");
        assert_eq!(shown(&[]), "");
    }
}
