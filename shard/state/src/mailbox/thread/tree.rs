//! The tree that REFERENCES builds: nodes in a list, links by number. Nothing here recurses, for references may chain
//! as many messages as a folder has, and nothing is allocated for a node but its place in the list.

use super::super::index::NONE;
use super::{Message, Messages};
use zcluster_api::sort::ThreadNode;

/// The node that all threads hang from.
pub(super) const ROOT: u32 = 0;

#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Index of the message; [`NONE`]: one that is referred to but not there ("dummy").
    pub message: u32,
    pub parent: u32,
    /// The children are a chain.
    first: u32,
    last: u32,
    next: u32,
    pub children: u32,
    /// Sort key: the date (its own or, for a dummy, its first child's) and the sequence number.
    pub key: (i64, u32),
}

pub(super) struct Tree<'m> {
    pub messages: &'m Messages<'m>,
    pub nodes: Vec<Node>,
}

impl<'m> Tree<'m> {
    /// Only the root.
    pub fn new(messages: &'m Messages<'m>) -> Self {
        let mut tree = Tree { messages, nodes: Vec::with_capacity(messages.list.len() + 1) };
        tree.add(NONE);
        tree
    }

    /// A new node without a parent.
    pub fn add(&mut self, message: u32) -> u32 {
        let key = self.messages.list.get(message as usize).map_or((i64::MAX, u32::MAX), |m| (m.date, m.uid));
        let node = Node { message, parent: NONE, first: NONE, last: NONE, next: NONE, children: 0, key };
        self.nodes.push(node);
        self.nodes.len() as u32 - 1
    }

    pub fn at(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    pub fn at_mut(&mut self, node: u32) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    pub fn message(&self, node: u32) -> Option<&'m Message> {
        self.messages.list.get(self.at(node).message as usize)
    }

    pub fn first_child(&self, node: u32) -> Option<u32> {
        Some(self.at(node).first).filter(|n| *n != NONE)
    }

    pub fn children(&self, node: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(self.first_child(node), |n| Some(self.at(*n).next).filter(|n| *n != NONE))
    }

    /// Makes `child` the last child of `node`.
    pub fn append(&mut self, node: u32, child: u32) {
        self.append_chain(node, child, child, 1);
    }

    /// Appends the children of `from` to those of `node`.
    pub fn append_all(&mut self, node: u32, from: u32) {
        let Node { first, last, children, .. } = *self.at(from);
        if children > 0 {
            self.clear(from);
            self.append_chain(node, first, last, children);
        }
    }

    fn append_chain(&mut self, node: u32, first: u32, last: u32, count: u32) {
        self.at_mut(last).next = NONE;
        let Node { first: old, last: end, .. } = *self.at(node);
        if old == NONE {
            self.at_mut(node).first = first;
        } else {
            self.at_mut(end).next = first;
        }
        let here = self.at_mut(node);
        (here.last, here.children) = (last, here.children + count);
    }

    /// Leaves a node without children; the first of them, of which the others hang, is told.
    pub fn clear(&mut self, node: u32) -> u32 {
        let here = self.at_mut(node);
        let first = here.first;
        (here.first, here.last, here.children) = (NONE, NONE, 0);
        first
    }

    pub fn next(&self, node: u32) -> u32 {
        self.at(node).next
    }

    /// The nodes in an order in which children come before their parents.
    pub fn bottom_up(&self) -> Vec<u32> {
        let (mut order, mut stack) = (Vec::with_capacity(self.nodes.len()), vec![ROOT]);
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend(self.children(node));
        }
        order.reverse();
        order
    }

    /// Fills in the children's lists from the parents' links, in the nodes' order; who has no parent hangs from the root.
    pub fn collect_children(&mut self) {
        for node in 1..self.nodes.len() as u32 {
            let parent = self.at(node).parent;
            self.append(if parent == NONE { ROOT } else { parent }, node);
        }
    }

    /// Sorts each set of siblings by date, children before their parents, dummies by their first child (RFC 5256 §3,
    /// steps 4 and 6).
    pub fn sort(&mut self) {
        let mut siblings: Vec<((i64, u32), u32)> = Vec::new();
        for node in self.bottom_up() {
            if self.at(node).children > 1 {
                siblings.clear();
                siblings.extend(self.children(node).map(|child| (self.at(child).key, child)));
                if !siblings.is_sorted() {
                    siblings.sort_unstable();
                    self.clear(node);
                    siblings.iter().for_each(|(_, child)| self.append(node, *child));
                }
            }
            if self.at(node).message == NONE
                && let Some(first) = self.first_child(node)
            {
                self.at_mut(node).key = self.at(first).key;
            }
        }
    }

    /// The threads, each node followed by its children.
    pub fn shown(&self) -> Vec<ThreadNode> {
        let mut out = Vec::with_capacity(self.nodes.len());
        // A node, then its children, then its siblings.
        let mut stack: Vec<u32> = self.first_child(ROOT).into_iter().collect();
        while let Some(node) = stack.pop() {
            let here = self.at(node);
            out.push(ThreadNode { uid: self.message(node).map_or(0, |m| m.uid), children: here.children });
            stack.extend(Some(here.next).filter(|n| *n != NONE));
            stack.extend(self.first_child(node));
        }
        out
    }
}
