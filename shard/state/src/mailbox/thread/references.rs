//! REFERENCES (RFC 5256 §3), step by step, and REFS, which leaves the subjects out.

use super::Message;
use super::tree::{ROOT, Tree};
use std::collections::{BTreeMap, BTreeSet};
use zcluster_api::sort::ThreadNode;

pub(super) fn threads(messages: &[Message], by_subject: bool) -> Vec<ThreadNode> {
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
    let mut forest = Forest::default();
    let mut by_id: BTreeMap<u64, usize> = BTreeMap::new();
    for (index, message) in tree.messages.iter().enumerate() {
        // A message without an id, or with another one's, is one of its own.
        let known = message.id.and_then(|id| by_id.get(&id).copied());
        let own = match known {
            Some(node) if tree.nodes[node].message.is_none() => {
                tree.nodes[node].message = Some(index);
                tree.nodes[node].key = (message.date, message.uid);
                node
            }
            _ => {
                let node = tree.add(Some(index));
                if let (Some(id), None) = (message.id, known) {
                    by_id.insert(id, node);
                }
                node
            }
        };
        let mut before: Option<usize> = None;
        for reference in &message.references {
            if tree.nodes.len() >= NODES_MAX && !by_id.contains_key(reference) {
                continue;
            }
            let node = *by_id.entry(*reference).or_insert_with(|| tree.add(None));
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
    for (node, (parent, _)) in forest.links.iter().enumerate() {
        tree.nodes[node].parent = *parent;
    }
}

/// Parents alone, for the question whether a link would close a loop.
#[derive(Default)]
struct Forest {
    /// The parent, and whether the node ever was one.
    links: Vec<(Option<usize>, bool)>,
}

impl Forest {
    fn parent(&self, node: usize) -> Option<usize> {
        self.links.get(node).and_then(|(parent, _)| *parent)
    }

    /// Whether `node` is `above` or below it.
    fn is_under(&self, mut node: usize, above: usize) -> bool {
        if node != above && !self.links.get(above).is_some_and(|(_, is_parent)| *is_parent) {
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

    fn unlink(&mut self, node: usize) {
        if let Some((parent, _)) = self.links.get_mut(node) {
            *parent = None;
        }
    }

    fn set(&mut self, node: usize, parent: usize) {
        if self.parent(node) != Some(parent) && !self.is_under(parent, node) {
            let behind = node.max(parent) + 1;
            if self.links.len() < behind {
                self.links.resize(behind, (None, false));
            }
            self.links[node].0 = Some(parent);
            self.links[parent].1 = true;
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
        let children = std::mem::take(&mut tree.nodes[node].children);
        let mut kept = Vec::with_capacity(children.len());
        for child in children {
            let below = tree.nodes[child].children.len();
            if tree.nodes[child].message.is_some() || node == ROOT && below > 1 {
                kept.push(child);
            } else {
                kept.append(&mut tree.nodes[child].children);
            }
        }
        tree.nodes[node].children = kept;
    }
}

/// Step 5: threads with the same base subject are put together. Messages have been sorted (step 4).
fn gather(tree: &mut Tree<'_>) {
    let messages = tree.messages;
    let top = tree.nodes[ROOT].children.clone();
    let mut table: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &top {
        let Some(subject) = subject(tree, messages, *node) else { continue };
        match table.get(subject).copied() {
            None => {
                table.insert(subject, *node);
            }
            Some(old) if tree.message(old).is_some() => {
                let better = match tree.message(*node) {
                    None => true,
                    Some(message) => is_reply(tree, old) && !message.reply,
                };
                if better {
                    table.insert(subject, *node);
                }
            }
            Some(_) => {}
        }
    }
    let mut moved: BTreeSet<usize> = BTreeSet::new();
    let mut new: BTreeMap<usize, usize> = BTreeMap::new();
    for node in top.iter().copied() {
        let Some(subject) = subject(tree, messages, node) else { continue };
        let Some(found) = table.get(subject).copied().filter(|found| *found != node) else { continue };
        if new.contains_key(&node) {
            continue;
        }
        match (tree.message(found).is_some(), tree.message(node).is_some()) {
            (false, false) => {
                let mut children = std::mem::take(&mut tree.nodes[node].children);
                tree.nodes[found].children.append(&mut children);
            }
            (false, true) => tree.nodes[found].children.push(node),
            (true, _) if is_reply(tree, node) && !is_reply(tree, found) => tree.nodes[found].children.push(node),
            (true, _) => {
                // Neither answers the other: both hang from a dummy, which takes the place of the one in the table.
                let dummy = tree.add(None);
                tree.nodes[dummy].children = vec![found, node];
                table.insert(subject, dummy);
                new.insert(found, dummy);
            }
        }
        moved.insert(node);
    }
    let kept = top.into_iter().filter(|n| !moved.contains(n)).map(|n| new.get(&n).copied().unwrap_or(n)).collect();
    tree.nodes[ROOT].children = kept;
}

/// The thread's subject: its first message's; `None` when that is empty.
fn subject<'m>(tree: &Tree<'_>, messages: &'m [Message], node: usize) -> Option<&'m str> {
    first_message(tree, node).and_then(|m| messages.get(m)).map(|m| m.subject.as_str()).filter(|s| !s.is_empty())
}

fn first_message(tree: &Tree<'_>, node: usize) -> Option<usize> {
    let here = &tree.nodes[node];
    here.message.or_else(|| here.children.first().and_then(|c| tree.nodes[*c].message))
}

fn is_reply(tree: &Tree<'_>, node: usize) -> bool {
    first_message(tree, node).and_then(|m| tree.messages.get(m)).is_some_and(|m| m.reply)
}

/// REFS: threads by their newest message.
fn newest_last(tree: &mut Tree<'_>) {
    let mut newest: Vec<(i64, u32)> = tree.nodes.iter().map(|n| n.key).collect();
    for node in tree.bottom_up() {
        let below = tree.nodes[node].children.iter().map(|c| newest[*c]).max();
        newest[node] = newest[node].max(below.unwrap_or((i64::MIN, 0)));
    }
    let mut top = std::mem::take(&mut tree.nodes[ROOT].children);
    top.sort_by_key(|n| newest[*n]);
    tree.nodes[ROOT].children = top;
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
