//! The tree that REFERENCES builds: nodes in a list, links by number. Nothing here recurses, for references may chain
//! as many messages as a folder has.

use super::Message;
use zcluster_api::sort::ThreadNode;

/// The node that all threads hang from.
pub(super) const ROOT: usize = 0;

#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// Index of the message; `None`: one that is referred to but not there ("dummy").
    pub message: Option<usize>,
    pub parent: Option<usize>,
    pub children: Vec<usize>,
    /// Sort key: the date (its own or, for a dummy, its first child's) and the sequence number.
    pub key: (i64, u32),
}

pub(super) struct Tree<'m> {
    pub messages: &'m [Message],
    pub nodes: Vec<Node>,
}

impl<'m> Tree<'m> {
    /// Only the root.
    pub fn new(messages: &'m [Message]) -> Self {
        Tree { messages, nodes: vec![Node::default()] }
    }

    /// A new node without a parent.
    pub fn add(&mut self, message: Option<usize>) -> usize {
        let key = message.and_then(|m| self.messages.get(m)).map_or((i64::MAX, u32::MAX), |m| (m.date, m.uid));
        self.nodes.push(Node { message, key, ..Node::default() });
        self.nodes.len() - 1
    }

    pub fn message(&self, node: usize) -> Option<&'m Message> {
        self.nodes[node].message.and_then(|m| self.messages.get(m))
    }

    /// The nodes in an order in which children come before their parents.
    pub fn bottom_up(&self) -> Vec<usize> {
        let (mut order, mut stack) = (Vec::with_capacity(self.nodes.len()), vec![ROOT]);
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend_from_slice(&self.nodes[node].children);
        }
        order.reverse();
        order
    }

    /// Fills in the children's lists from the parents' links, in the nodes' order; who has no parent hangs from the root.
    pub fn collect_children(&mut self) {
        for node in 1..self.nodes.len() {
            let parent = *self.nodes[node].parent.get_or_insert(ROOT);
            self.nodes[parent].children.push(node);
        }
    }

    /// Sorts each set of siblings by date, children before their parents, dummies by their first child (RFC 5256 §3,
    /// steps 4 and 6).
    pub fn sort(&mut self) {
        for node in self.bottom_up() {
            let mut children = std::mem::take(&mut self.nodes[node].children);
            children.sort_by_key(|c| self.nodes[*c].key);
            if self.nodes[node].message.is_none()
                && let Some(first) = children.first()
            {
                self.nodes[node].key = self.nodes[*first].key;
            }
            self.nodes[node].children = children;
        }
    }

    /// The threads, each node followed by its children.
    pub fn shown(&self) -> Vec<ThreadNode> {
        let mut out = Vec::with_capacity(self.nodes.len());
        let mut stack: Vec<usize> = self.nodes[ROOT].children.iter().rev().copied().collect();
        while let Some(node) = stack.pop() {
            let children = &self.nodes[node].children;
            let uid = self.message(node).map_or(0, |m| m.uid);
            out.push(ThreadNode { uid, children: u32::try_from(children.len()).unwrap_or(u32::MAX) });
            stack.extend(children.iter().rev());
        }
        out
    }
}
