//! Strings of a script: encoded characters (RFC 5228 §2.4.2.4) undone, variable references (RFC 5229 §3) found.

/// A variable's name, lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VarName {
    /// `global.name` (RFC 6609 §3.4).
    pub global: bool,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    /// `${1}`
    Match(usize),
    Variable(VarName),
}

/// A string, with references if the script may use variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(pub Vec<Piece>);

impl Text {
    pub fn literal(text: &str) -> Self {
        Text(vec![Piece::Text(text.to_string())])
    }
    /// The value, when it does not depend on the run.
    pub fn constant(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

pub(crate) fn is_identifier(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit())
}

/// Finds references; what only looks like one stays as it stands. `include` says whether `${global.x}` is known.
pub(crate) fn with_variables(text: &str, include: bool) -> Result<Text, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        plain.push_str(before);
        let inside = from.get(2..).unwrap_or_default();
        let end = inside.find('}').map(|end| (&inside[..end], &inside[end + 1..]));
        match end.map(|(name, after)| (reference(name, include), after)) {
            Some((Some(reference), after)) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(reference?);
                rest = after;
            }
            _ => {
                plain.push_str("${");
                rest = inside;
            }
        }
    }
    plain.push_str(rest);
    if !plain.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(Text(pieces))
}

/// `None`: this is no reference.
fn reference(inside: &str, include: bool) -> Option<Result<Piece, String>> {
    if is_number(inside) {
        return Some(Ok(Piece::Match(inside.parse().unwrap_or(usize::MAX))));
    }
    let mut names = inside.split('.');
    let first = names.next().filter(|n| is_identifier(n))?;
    let others: Vec<&str> = names.collect();
    if !others.iter().all(|n| is_identifier(n) || is_number(n)) {
        return None;
    }
    Some(variable(first, &others, include).map(Piece::Variable))
}

fn variable(first: &str, others: &[&str], include: bool) -> Result<VarName, String> {
    match others {
        [] => Ok(VarName { global: false, name: first.to_ascii_lowercase() }),
        [name] if include && first.eq_ignore_ascii_case("global") && is_identifier(name) => {
            Ok(VarName { global: true, name: name.to_ascii_lowercase() })
        }
        _ => Err(format!("the variable namespace `{first}` is not known here")),
    }
}

/// The name that `set` and others take: an identifier, perhaps in a namespace.
pub(crate) fn variable_name(name: &str, include: bool) -> Result<VarName, String> {
    match reference(name, include) {
        Some(Ok(Piece::Variable(v))) => Ok(v),
        Some(Err(e)) => Err(e),
        _ => Err(format!("`{}` is no variable's name", crate::diagnostic::shown(name))),
    }
}

/// Undoes `${hex: 41 42}` and `${unicode: 1F600}`.
pub(crate) fn decode_characters(text: &str) -> Result<String, String> {
    if !text.contains("${") {
        return Ok(text.to_string());
    }
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.extend_from_slice(before.as_bytes());
        let inside = from.get(2..).unwrap_or_default();
        let decoded = match inside.find('}') {
            Some(end) => decode_one(&inside[..end])?.map(|bytes| (bytes, &inside[end + 1..])),
            None => None,
        };
        match decoded {
            Some((bytes, after)) => {
                out.extend(bytes);
                rest = after;
            }
            None => {
                out.extend_from_slice(b"${");
                rest = inside;
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    if out.contains(&0) {
        return Err("an encoded character cannot be NUL".into());
    }
    String::from_utf8(out).map_err(|_| "encoded octets do not make UTF-8".into())
}

fn decode_one(inside: &str) -> Result<Option<Vec<u8>>, String> {
    let Some((kind, codes)) = inside.split_once(':') else { return Ok(None) };
    let hex = kind.eq_ignore_ascii_case("hex");
    if !hex && !kind.eq_ignore_ascii_case("unicode") {
        return Ok(None);
    }
    let digits = if hex { 2 } else { 6 };
    let mut out = Vec::new();
    let mut any = false;
    for code in codes.split([' ', '\t', '\r', '\n']).filter(|c| !c.is_empty()) {
        any = true;
        if code.len() > digits || !code.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let Ok(value) = u32::from_str_radix(code, 16) else { return Ok(None) };
        if hex {
            out.push(value as u8);
        } else {
            // RFC 5228 §2.4.2.4: what Unicode does not have is an error.
            let c = char::from_u32(value).ok_or_else(|| format!("Unicode has no character {code}"))?;
            out.extend(c.to_string().bytes());
        }
    }
    Ok(any.then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5228 §2.4.2.4's table.
    #[test]
    fn encoded_characters() {
        for (text, want) in [
            ("$${hex:40}", "$@"),
            ("${hex: 40 }", "@"),
            ("${HEX: 40}", "@"),
            ("${hex:40", "${hex:40"),
            ("${hex:400}", "${hex:400}"),
            ("${hex:4${hex:30}}", "${hex:40}"),
            ("${unicode:40}", "@"),
            ("${ unicode:40}", "${ unicode:40}"),
            ("${UNICODE:40}", "@"),
            ("${UnICoDE:0000040}", "${UnICoDE:0000040}"),
            ("${Unicode:40}", "@"),
            ("${Unicode:Cool}", "${Unicode:Cool}"),
            ("${hex:c3 bc}", "ü"),
            ("${hex:}", "${hex:}"),
            ("${unicode:1F600 41}", "😀A"),
        ] {
            assert_eq!(decode_characters(text).as_deref(), Ok(want), "{text}");
        }
        for bad in ["${unicode:200000}", "${Unicode:DF01}", "${hex:ff}", "${hex:0}"] {
            assert!(decode_characters(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn references() {
        let var = |name: &str| Piece::Variable(VarName { global: false, name: name.into() });
        let text = |text: &str| Piece::Text(text.into());
        for (source, want) in [
            ("&%${}!", vec![text("&%${}!")]),
            ("${doh!}", vec![text("${doh!}")]),
            ("${President, ${Company}, ${a_1}", vec![text("${President, "), var("company"), text(", "), var("a_1")]),
            ("x${1}${02}", vec![text("x"), Piece::Match(1), Piece::Match(2)]),
            ("${global.X}", vec![Piece::Variable(VarName { global: true, name: "x".into() })]),
            ("", vec![text("")]),
            ("${1a}${", vec![text("${1a}${")]),
        ] {
            assert_eq!(with_variables(source, true), Ok(Text(want)), "{source}");
        }
        assert!(with_variables("${foo.bar}", true).is_err() && with_variables("${global.bar}", false).is_err());
    }
}
