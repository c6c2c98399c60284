//! From text to conditions.
//!
//! ```text
//! any     = all *( ("or" / "||") all )
//! all     = clause *( ["and" / "&&"] clause )
//! clause  = *( "-" / "!" / "+" / "not" ) ( "(" any ")" / operator ":" ( value / "(" any ")" ) / value )
//! ```
//! Between the parentheses of an operator, values are that operator's and there are no others.

use crate::compile;
use crate::error::{Problem, QueryError, shown};
use crate::fields::{Comparison, Field, Operator};
use crate::numbers;
use crate::scan::Scan;
use crate::tree::Node;
use crate::{CONDITIONS_MAX, Context};
use zcluster_api::search::SEARCH_DEPTH_MAX;
use zcluster_api::{FindOrder, SearchExpr, TextField};

/// What stands after an operator.
pub(crate) struct Value {
    /// Without quotes, braces and comparison.
    pub text: String,
    pub comparison: Option<Comparison>,
    /// Where it begins.
    pub at: usize,
}

pub(crate) struct Parser<'t, 'c> {
    scan: Scan<'t>,
    context: &'c Context,
    conditions: usize,
    order: Option<FindOrder>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keyword {
    And,
    Or,
    Not,
}

/// A word that something has to follow, and where it is.
type Before<'t> = Option<(&'t str, usize)>;

impl<'t, 'c> Parser<'t, 'c> {
    pub fn new(text: &'t str, context: &'c Context) -> Self {
        Parser { scan: Scan::new(text), context, conditions: 0, order: None }
    }

    /// All of the text.
    pub fn query(mut self) -> Result<(Node, Option<FindOrder>), QueryError> {
        self.scan.skip_space();
        if self.scan.peek().is_none() {
            return Err(Problem::Empty.at(0));
        }
        let node = self.any(None, 0)?;
        match self.scan.peek() {
            None => Ok((node.unwrap_or(Node::leaf(SearchExpr::All)), self.order)),
            Some(_) => Err(Problem::StrayParenthesis.at(self.scan.at)),
        }
    }

    /// `None`: there was nothing but orders.
    fn any(&mut self, outer: Option<&Operator>, depth: usize) -> Result<Option<Node>, QueryError> {
        let mut nodes = Vec::new();
        let mut before = None;
        loop {
            nodes.extend(self.all(outer, depth, before)?);
            match self.keyword(Keyword::Or) {
                Some(or) => before = Some(or),
                None => return Ok((!nodes.is_empty()).then(|| Node::any(nodes))),
            }
        }
    }

    fn all(&mut self, outer: Option<&Operator>, depth: usize, or: Before<'t>) -> Result<Option<Node>, QueryError> {
        let mut nodes = Vec::new();
        let mut before = or;
        loop {
            nodes.extend(self.clause(outer, depth, before)?);
            let and = self.keyword(Keyword::And);
            if and.is_none() && self.ends() {
                return Ok((!nodes.is_empty()).then(|| Node::all(nodes)));
            }
            before = and;
        }
    }

    /// Whether a run of clauses ends here.
    fn ends(&mut self) -> bool {
        self.scan.skip_space();
        matches!(self.scan.peek(), None | Some(')')) || self.looks_at(Keyword::Or).is_some()
    }

    /// The scan behind a keyword, if it is next, and the keyword as written.
    fn looks_at(&self, keyword: Keyword) -> Option<(Scan<'t>, &'t str)> {
        let mut scan = self.scan;
        let word = scan.word(false);
        let found = match word.to_ascii_lowercase().as_str() {
            "and" | "&&" => Keyword::And,
            "or" | "||" => Keyword::Or,
            "not" => Keyword::Not,
            _ => return None,
        };
        (found == keyword && scan.peek() != Some(':')).then_some((scan, word))
    }

    fn keyword(&mut self, keyword: Keyword) -> Before<'t> {
        self.scan.skip_space();
        let at = self.scan.at;
        let (scan, word) = self.looks_at(keyword)?;
        self.scan = scan;
        Some((word, at))
    }

    fn clause(
        &mut self,
        outer: Option<&Operator>,
        depth: usize,
        mut before: Before<'t>,
    ) -> Result<Option<Node>, QueryError> {
        let mut negated = false;
        while let Some(sign) = self.sign(outer) {
            negated ^= sign.0 != "+";
            before = Some(sign);
        }
        let at = self.scan.at;
        if self.ends() || self.looks_at(Keyword::And).is_some() {
            return Err(self.nothing_here(before, at, depth));
        }
        match self.primary(outer, depth)? {
            Some(node) => Ok(Some(if negated { node.negated() } else { node })),
            None if negated => Err(Problem::NegatedOrder.at(at)),
            None => Ok(None),
        }
    }

    fn nothing_here(&self, before: Before<'t>, at: usize, depth: usize) -> QueryError {
        if let Some((word, at)) = before {
            return Problem::NothingAfter(word.to_owned()).at(at);
        }
        match (self.looks_at(Keyword::And).or(self.looks_at(Keyword::Or)), self.scan.peek(), depth) {
            (Some((_, word)), ..) => Problem::NothingBefore(word.to_owned()).at(at),
            (None, Some(_), 0) => Problem::StrayParenthesis.at(at),
            (None, Some(_), _) => Problem::EmptyParentheses.at(at),
            // Something was opened and the text is over.
            (None, None, _) => Problem::OpenParenthesis.at(at),
        }
    }

    /// What stands before a clause. In the parentheses of an operator whose values have signs, `-` and `+` are theirs.
    fn sign(&mut self, outer: Option<&Operator>) -> Before<'t> {
        let signed = outer.is_some_and(Operator::signed);
        self.scan.skip_space();
        let at = self.scan.at;
        let mut take = |c, name| self.scan.take(c).then_some((name, at));
        let sign = take('!', "!").or_else(|| if signed { None } else { take('-', "-").or_else(|| take('+', "+")) });
        sign.or_else(|| self.keyword(Keyword::Not))
    }

    fn primary(&mut self, outer: Option<&Operator>, depth: usize) -> Result<Option<Node>, QueryError> {
        let at = self.scan.at;
        if self.scan.peek() == Some('(') {
            return self.group(outer, depth);
        }
        if let Some(operator) = outer {
            let value = self.value(operator, true)?;
            return self.leaf(operator, &value);
        }
        let text = match self.scan.peek() {
            Some('"') => self.scan.quoted()?,
            Some('{' | '}') => return Err(Problem::StrayBrace.at(at)),
            Some(':') => return Err(Problem::StrayColon.at(at)),
            _ => {
                let word = self.scan.word(false);
                if self.scan.take(':') {
                    let operator = Operator::named(word).ok_or(Problem::UnknownOperator(shown(word)).at(at))?;
                    return self.operand(&operator, depth);
                }
                word.to_owned()
            }
        };
        let fields = match self.context.default_field.is_empty() {
            true => vec![TextField::Content],
            false => self.context.default_field.clone(),
        };
        let operator = Operator { name: String::new(), field: Field::Text(fields) };
        self.leaf(&operator, &Value { text, comparison: None, at })
    }

    fn group(&mut self, outer: Option<&Operator>, depth: usize) -> Result<Option<Node>, QueryError> {
        let open = self.scan.at;
        if depth >= SEARCH_DEPTH_MAX {
            return Err(Problem::TooDeep.at(open));
        }
        self.scan.take('(');
        let node = self.any(outer, depth + 1)?;
        self.scan.take(')').then_some(node).ok_or(Problem::OpenParenthesis.at(open))
    }

    fn operand(&mut self, operator: &Operator, depth: usize) -> Result<Option<Node>, QueryError> {
        self.scan.skip_space();
        if self.scan.peek() == Some('(') && operator.field != Field::Sort {
            return self.group(Some(operator), depth);
        }
        let value = self.value(operator, false)?;
        self.leaf(operator, &value)
    }

    /// `grouped`: between the parentheses of its operator.
    fn value(&mut self, operator: &Operator, grouped: bool) -> Result<Value, QueryError> {
        let at = self.scan.at;
        let name = || operator.name.clone();
        let bare = |text: String| Value { text, comparison: None, at };
        match self.scan.peek() {
            None | Some(')' | '(') => Err(Problem::NoValue(name()).at(at)),
            Some('"') => {
                let text = self.scan.quoted()?;
                // Texts in quotes are meant as they are.
                Ok(if operator.comparable() && !operator.compares_text() {
                    let (comparison, rest) = split_comparison(&text);
                    Value { comparison, ..bare(rest.trim().to_owned()) }
                } else {
                    bare(text)
                })
            }
            Some('{') if operator.field == Field::Item => Ok(bare(self.scan.braced()?.to_owned())),
            Some('{' | '}') => Err(Problem::StrayBrace.at(at)),
            Some(c @ ('-' | '+')) if !operator.signed() => Err(Problem::Unquoted(name(), c).at(at)),
            Some(_) => {
                let word = self.scan.word(operator.colons());
                if self.scan.peek() == Some(':') {
                    return Err(self.colon_after(operator, word, grouped, at));
                }
                self.compared(operator, word, at)
            }
        }
    }

    /// There is a colon where the word of a value ended.
    fn colon_after(&self, operator: &Operator, word: &str, grouped: bool, at: usize) -> QueryError {
        let name = operator.name.clone();
        match Operator::named(word) {
            Some(inner) if grouped => Problem::OperatorInside(name, inner.name).at(at),
            Some(_) => Problem::NoValue(name).at(at),
            None => Problem::Unquoted(name, ':').at(at),
        }
    }

    /// A value of one word, perhaps a comparison and what is in quotes behind it.
    fn compared(&mut self, operator: &Operator, word: &str, at: usize) -> Result<Value, QueryError> {
        // An address in angle brackets is no comparison.
        let literal =
            operator.compares_text() && word.starts_with(['<', '=']) && (word.ends_with('>') || word.starts_with('='));
        let (comparison, rest) = match operator.comparable() && !literal {
            true => split_comparison(word),
            false => (None, word),
        };
        let quoted = rest.is_empty() && self.scan.peek() == Some('"');
        let text = if quoted { self.scan.quoted()? } else { rest.to_owned() };
        if text.is_empty() {
            return Err(Problem::NoValue(operator.name.clone()).at(at));
        }
        Ok(Value { text, comparison, at })
    }

    /// `None`: it was an order.
    fn leaf(&mut self, operator: &Operator, value: &Value) -> Result<Option<Node>, QueryError> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(Problem::TooMany.at(value.at));
        }
        if operator.field == Field::Sort {
            self.order = Some(numbers::order(value)?);
            return Ok(None);
        }
        compile::leaf(operator, value, self.context).map(Some)
    }
}

fn split_comparison(text: &str) -> (Option<Comparison>, &str) {
    use Comparison::*;
    for (sign, comparison) in [("<=", LessOrEqual), (">=", GreaterOrEqual), ("<", Less), (">", Greater), ("=", Equal)] {
        if let Some(rest) = text.strip_prefix(sign) {
            return (Some(comparison), rest);
        }
    }
    (None, text)
}
