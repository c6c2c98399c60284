//! REFERENCES (RFC 5256 §3), step by step, and REFS, which leaves the subjects out.

use super::super::index::NONE;
use super::Messages;
use super::tree::{ROOT, Tree};
use zcluster_api::sort::ThreadNode;

pub(super) fn threads(messages: &Messages<'_>, by_subject: bool) -> Vec<ThreadNode> {
    let mut tree = Tree::new(messages);
    link(&mut tree);
    tree.collect_children();
    prune(&mut tree);
    tree.sort();
    if by_subject {
        gather(&mut tree);
        tree.sort();
    } else {
        newest_last(&mut tree);
    }
    tree.shown()
}

/// Step 1: links by references, earlier ones first. A link that would close a loop is not made.
fn link(tree: &mut Tree<'_>) {
    let messages = tree.messages;
    let mut forest = Forest::default();
    // The node of each id; the root stands for none.
    let mut by_id: Vec<u32> = vec![ROOT; messages.ids];
    for (index, message) in messages.list.iter().enumerate() {
        // A message without an id, or with another one's, is one of its own.
        let known = by_id.get(message.id as usize).copied();
        let own = match known {
            Some(node) if node != ROOT && tree.at(node).message == NONE => {
                let node_at = tree.at_mut(node);
                (node_at.message, node_at.key) = (index as u32, (message.date, message.uid));
                node
            }
            _ => {
                let node = tree.add(index as u32);
                if known == Some(ROOT) {
                    by_id[message.id as usize] = node;
                }
                node
            }
        };
        let mut before: Option<u32> = None;
        for reference in &messages.references[message.references.clone()] {
            let mut node = by_id[*reference as usize];
            if node == ROOT {
                if tree.nodes.len() >= NODES_MAX {
                    continue;
                }
                node = tree.add(NONE);
                by_id[*reference as usize] = node;
            }
            // (A): an existing link stays.
            if let Some(parent) = before
                && forest.parent(node).is_none()
            {
                forest.set(node, parent);
            }
            before = Some(node);
        }
        // (B): the last reference is the parent, and without one there is none, whatever somebody else's list made it.
        forest.unlink(own);
        if let Some(parent) = before {
            forest.set(own, parent);
        }
    }
    for (node, (parent, _)) in tree.nodes.iter_mut().zip(&forest.links) {
        node.parent = *parent;
    }
}

/// Parents alone, for the question whether a link would close a loop.
#[derive(Default)]
struct Forest {
    /// The parent or [`NONE`], and whether the node ever was one.
    links: Vec<(u32, bool)>,
}

impl Forest {
    fn parent(&self, node: u32) -> Option<u32> {
        self.links.get(node as usize).map(|(parent, _)| *parent).filter(|parent| *parent != NONE)
    }

    /// Whether `node` is `above` or below it.
    fn is_under(&self, mut node: u32, above: u32) -> bool {
        if node != above && !self.links.get(above as usize).is_some_and(|(_, is_parent)| *is_parent) {
            return false;
        }
        for _ in 0..STEPS_MAX {
            if node == above {
                return true;
            }
            match self.parent(node) {
                Some(parent) => node = parent,
                None => return false,
            }
        }
        // A chain too long to follow could hide a loop: no link is made.
        true
    }

    fn unlink(&mut self, node: u32) {
        if let Some((parent, _)) = self.links.get_mut(node as usize) {
            *parent = NONE;
        }
    }

    fn set(&mut self, node: u32, parent: u32) {
        if self.parent(node) != Some(parent) && !self.is_under(parent, node) {
            let behind = node.max(parent) as usize + 1;
            if self.links.len() < behind {
                self.links.resize(behind, (NONE, false));
            }
            self.links[node as usize].0 = parent;
            self.links[parent as usize].1 = true;
        }
    }
}

/// How far up a loop is looked for. Real threads are hundreds deep at most; a made-up chain must not cost the square of
/// its length.
const STEPS_MAX: usize = 1_000;
/// Nodes of all threads; beyond it, references to messages that are not there are passed over.
const NODES_MAX: usize = 4_000_000;

/// Step 3: dummies without children go; others give way to their children, but at the root only to a single one.
fn prune(tree: &mut Tree<'_>) {
    for node in tree.bottom_up() {
        let mut child = tree.clear(node);
        while child != NONE {
            let next = tree.next(child);
            let here = tree.at(child);
            if here.message != NONE || node == ROOT && here.children > 1 {
                tree.append(node, child);
            } else {
                tree.append_all(node, child);
            }
            child = next;
        }
    }
}

/// Step 5: threads with the same base subject are put together. Messages have been sorted (step 4).
fn gather(tree: &mut Tree<'_>) {
    let top: Vec<u32> = tree.children(ROOT).collect();
    // The thread of each subject; the root stands for none.
    let mut table: Vec<u32> = vec![ROOT; tree.messages.subjects];
    for node in &top {
        let Some(subject) = subject(tree, *node) else { continue };
        match table[subject] {
            ROOT => table[subject] = *node,
            old if tree.message(old).is_some() => {
                let better = match tree.message(*node) {
                    None => true,
                    Some(message) => is_reply(tree, old) && !message.reply,
                };
                if better {
                    table[subject] = *node;
                }
            }
            _ => {}
        }
    }
    // What stands at the top in the place of each node: itself, nothing, or a new dummy.
    let mut stands: Vec<u32> = (0..tree.nodes.len() as u32).collect();
    for node in top.iter().copied() {
        let Some(subject) = subject(tree, node) else { continue };
        let found = table[subject];
        // It is in the table, or its place was taken by the dummy that is.
        if found == ROOT || found == node || stands[node as usize] != node {
            continue;
        }
        match (tree.message(found).is_some(), tree.message(node).is_some()) {
            (false, false) => tree.append_all(found, node),
            (false, true) => tree.append(found, node),
            (true, _) if is_reply(tree, node) && !is_reply(tree, found) => tree.append(found, node),
            (true, _) => {
                // Neither answers the other: both hang from a dummy, which takes the place of the one in the table.
                let dummy = tree.add(NONE);
                tree.append(dummy, found);
                tree.append(dummy, node);
                table[subject] = dummy;
                stands[found as usize] = dummy;
            }
        }
        stands[node as usize] = NONE;
    }
    tree.clear(ROOT);
    for node in top {
        let stands = stands[node as usize];
        if stands != NONE {
            tree.append(ROOT, stands);
        }
    }
}

/// The thread's subject: its first message's; `None` when that is empty.
fn subject(tree: &Tree<'_>, node: u32) -> Option<usize> {
    let message = tree.messages.list.get(first_message(tree, node) as usize)?;
    (!message.no_subject).then_some(message.subject as usize)
}

fn first_message(tree: &Tree<'_>, node: u32) -> u32 {
    match tree.at(node).message {
        NONE => tree.first_child(node).map_or(NONE, |child| tree.at(child).message),
        message => message,
    }
}

fn is_reply(tree: &Tree<'_>, node: u32) -> bool {
    tree.messages.list.get(first_message(tree, node) as usize).is_some_and(|m| m.reply)
}

/// REFS: threads by their newest message.
fn newest_last(tree: &mut Tree<'_>) {
    let mut newest: Vec<(i64, u32)> = tree.nodes.iter().map(|n| n.key).collect();
    for node in tree.bottom_up() {
        let below = tree.children(node).map(|c| newest[c as usize]).max();
        newest[node as usize] = newest[node as usize].max(below.unwrap_or((i64::MIN, 0)));
    }
    let mut top: Vec<u32> = tree.children(ROOT).collect();
    top.sort_by_key(|n| newest[*n as usize]);
    tree.clear(ROOT);
    top.into_iter().for_each(|node| tree.append(ROOT, node));
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
