//! Conditions put together, and Trash and Junk left out of them.

use crate::error::{Problem, QueryError};
use crate::{Context, NODES_MAX};
use zcluster_api::mailbox::folders;
use zcluster_api::search::{InFolder, SEARCH_DEPTH_MAX};
use zcluster_api::{FolderId, SearchExpr};

/// Conditions with all negations at the leaves.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Leaf {
        expr: SearchExpr,
        /// Whoever writes this means the place it names, though it be Trash or Junk; only where it is not negated.
        lifts: bool,
        negated: bool,
    },
}

impl Node {
    pub fn leaf(expr: SearchExpr) -> Node {
        Node::Leaf { expr, lifts: false, negated: false }
    }

    /// Not empty.
    pub fn all(nodes: Vec<Node>) -> Node {
        let mut out = Vec::with_capacity(nodes.len());
        for node in nodes {
            if let Node::All(inner) = node { out.extend(inner) } else { out.push(node) }
        }
        if out.len() == 1 { out.remove(0) } else { Node::All(out) }
    }

    /// Not empty.
    pub fn any(nodes: Vec<Node>) -> Node {
        let mut out = Vec::with_capacity(nodes.len());
        for node in nodes {
            if let Node::Any(inner) = node { out.extend(inner) } else { out.push(node) }
        }
        if out.len() == 1 { out.remove(0) } else { Node::Any(out) }
    }

    pub fn negated(self) -> Node {
        let each = |nodes: Vec<Node>| nodes.into_iter().map(Node::negated).collect();
        match self {
            Node::All(nodes) => Node::Any(each(nodes)),
            Node::Any(nodes) => Node::All(each(nodes)),
            Node::Leaf { expr, lifts, negated } => Node::Leaf { expr, lifts, negated: !negated },
        }
    }

    /// Whether ways to fulfil it name a place.
    fn names(&self) -> Names {
        let (mut all, mut none, mut any_all) = (true, true, false);
        let mut add = |names| {
            all &= names == Names::Always;
            any_all |= names == Names::Always;
            none &= names == Names::Never;
        };
        match self {
            Node::Leaf { lifts, negated, .. } => add(if *lifts && !negated { Names::Always } else { Names::Never }),
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| add(node.names())),
        }
        match self {
            Node::All(_) if any_all => Names::Always,
            _ if all => Names::Always,
            _ if none => Names::Never,
            _ => Names::Sometimes,
        }
    }

    fn expr(&self) -> SearchExpr {
        match self {
            Node::All(nodes) => all_of(nodes.iter().map(Node::expr)),
            Node::Any(nodes) => any_of(nodes.iter().map(Node::expr)),
            Node::Leaf { expr, negated: false, .. } => expr.clone(),
            Node::Leaf { expr, negated: true, .. } => not(expr.clone()),
        }
    }

    /// For messages that fulfil the node: whether they do so in a way that names a place.
    fn lifted(&self) -> SearchExpr {
        match self {
            Node::Leaf { expr, lifts: true, negated: false } => expr.clone(),
            Node::Leaf { .. } => nothing(),
            Node::All(nodes) => any_of(nodes.iter().map(Node::lifted)),
            Node::Any(nodes) => any_of(nodes.iter().filter_map(|node| match node.names() {
                Names::Never => None,
                Names::Always => Some(node.expr()),
                Names::Sometimes => Some(all_of([node.expr(), node.lifted()])),
            })),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Never,
    Sometimes,
    Always,
}

/// Matches no message.
pub(crate) fn nothing() -> SearchExpr {
    SearchExpr::Not(Box::new(SearchExpr::All))
}

pub(crate) fn not(expr: SearchExpr) -> SearchExpr {
    match expr {
        SearchExpr::Not(inner) => *inner,
        expr => SearchExpr::Not(Box::new(expr)),
    }
}

pub(crate) fn all_of(list: impl IntoIterator<Item = SearchExpr>) -> SearchExpr {
    let mut out = Vec::new();
    for expr in list {
        match expr {
            SearchExpr::All => {}
            SearchExpr::And(inner) => out.extend(inner),
            expr => out.push(expr),
        }
    }
    match out.len() {
        0 => SearchExpr::All,
        1 => out.remove(0),
        _ => SearchExpr::And(out),
    }
}

pub(crate) fn any_of(list: impl IntoIterator<Item = SearchExpr>) -> SearchExpr {
    let mut out = Vec::new();
    let nothing = nothing();
    for expr in list {
        match expr {
            expr if expr == nothing => {}
            SearchExpr::Or(inner) => out.extend(inner),
            expr => out.push(expr),
        }
    }
    match out.len() {
        0 => nothing,
        1 => out.remove(0),
        _ => SearchExpr::Or(out),
    }
}

/// What messages must fulfil that nobody asked for by their place. `All`: nothing is left out.
pub(crate) fn guard(context: &Context) -> SearchExpr {
    let out = |id: FolderId, included: bool| match included {
        true => SearchExpr::All,
        false => not(SearchExpr::In(InFolder { id: Some(id), path: String::new(), below: true })),
    };
    all_of([out(folders::TRASH, context.include_trash), out(folders::JUNK, context.include_junk)])
}

/// The expression: each way to fulfil it that names no place has to fulfil the guard too.
pub(crate) fn guarded(node: &Node, guard: SearchExpr) -> SearchExpr {
    match (node.names(), node) {
        (Names::Always, _) => node.expr(),
        (Names::Never, _) | (_, Node::Leaf { .. }) => all_of([node.expr(), guard]),
        (_, Node::Any(nodes)) => {
            let (never, others): (Vec<&Node>, Vec<_>) = nodes.iter().partition(|node| node.names() == Names::Never);
            let never = any_of(never.into_iter().map(Node::expr));
            let others: Vec<SearchExpr> = others.into_iter().map(|node| guarded(node, guard.clone())).collect();
            any_of(others.into_iter().chain([if never == nothing() { never } else { all_of([never, guard]) }]))
        }
        (_, Node::All(nodes)) => {
            let mixed = nodes.iter().filter(|node| node.names() == Names::Sometimes).count();
            if mixed == 1 {
                return all_of(nodes.iter().map(|node| match node.names() {
                    Names::Sometimes => guarded(node, guard.clone()),
                    _ => node.expr(),
                }));
            }
            let lifted = node.lifted();
            let always = matches!(&lifted, SearchExpr::Or(list) if list.contains(&SearchExpr::All));
            all_of([node.expr(), if always { SearchExpr::All } else { any_of([guard, lifted]) }])
        }
    }
}

/// # Errors
/// Too many nodes, or nested too deeply, for who is to carry it out.
pub(crate) fn check(expr: &SearchExpr) -> Result<(), QueryError> {
    fn walk(expr: &SearchExpr, depth: usize, nodes: &mut usize) -> Result<(), QueryError> {
        *nodes += 1;
        if depth > SEARCH_DEPTH_MAX {
            return Err(Problem::TooDeep.at(0));
        }
        if *nodes > NODES_MAX {
            return Err(Problem::TooMany.at(0));
        }
        match expr {
            SearchExpr::And(list) | SearchExpr::Or(list) => {
                list.iter().try_for_each(|inner| walk(inner, depth + 1, nodes))
            }
            SearchExpr::Not(inner) => walk(inner, depth + 1, nodes),
            _ => Ok(()),
        }
    }
    walk(expr, 0, &mut 0)
}

/// The conditions on words that are not negated, each once.
pub(crate) fn words(expr: &SearchExpr) -> Vec<SearchExpr> {
    fn walk(expr: &SearchExpr, out: &mut Vec<SearchExpr>) {
        match expr {
            SearchExpr::And(list) | SearchExpr::Or(list) => list.iter().for_each(|inner| walk(inner, out)),
            SearchExpr::Words(_) if !out.contains(expr) => out.push(expr.clone()),
            _ => {}
        }
    }
    let mut out = Vec::new();
    walk(expr, &mut out);
    out
}
