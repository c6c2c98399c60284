//! Result options of SEARCH and SORT, and `PARTIAL` ranges.

use super::command::{Fetch, Partial, SearchReturn};
use super::cursor::{Cursor, Fault, Parse};
use super::parse_fetch::attributes;

/// `["RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP]` (RFC 4466 §6).
pub(super) fn returned(c: &mut Cursor<'_>) -> Parse<Returned> {
    if !c.eat_word("RETURN") {
        return Ok(Returned::default());
    }
    c.sp()?;
    let returned = options(c)?;
    c.sp()?;
    Ok(returned)
}

/// Result options with what some of them have behind them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Returned {
    /// Nothing without RETURN.
    pub ret: Option<SearchReturn>,
    pub partial: Option<Partial>,
    /// `modifier-update = "UPDATE" [SP "(" fetch-att *(SP fetch-att) ")"]` (RFC 5465 §8).
    pub update: Option<Box<Fetch>>,
}

/// An empty list asks for ALL (RFC 4731 §3.1); SAVE alone asks for nothing to be told (RFC 5182 §2). There is one ALL or
/// one PARTIAL at most (RFC 9394 §3.1).
fn options(c: &mut Cursor<'_>) -> Parse<Returned> {
    let (mut options, mut partial, mut update) = (SearchReturn::default(), None, None);
    c.list(|c| {
        let option = match c.atom()?.to_ascii_uppercase().as_str() {
            "MIN" => SearchReturn::MIN,
            "MAX" => SearchReturn::MAX,
            "ALL" => SearchReturn::ALL,
            "COUNT" => SearchReturn::COUNT,
            "SAVE" => SearchReturn::SAVE,
            "UPDATE" => {
                if c.rest().starts_with(b" (") {
                    c.sp()?;
                    update = Some(Box::new(attributes(c)?));
                }
                SearchReturn::UPDATE
            }
            "CONTEXT" => SearchReturn::CONTEXT,
            "PARTIAL" => {
                c.sp()?;
                if partial.replace(partial_range(c)?).is_some() {
                    return Err(Fault::Bad("more than one PARTIAL"));
                }
                SearchReturn::PARTIAL
            }
            _ => return Err(Fault::Bad("no such SEARCH result option")),
        };
        options.add(option);
        Ok(())
    })?;
    if options.has(SearchReturn::ALL.with(SearchReturn::PARTIAL)) {
        return Err(Fault::Bad("ALL and PARTIAL exclude each other"));
    }
    let ret = Some(if options.is_empty() { SearchReturn::ALL } else { options });
    Ok(Returned { ret, partial, update })
}

/// `partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number` (RFC 9394 §4).
pub(super) fn partial_range(c: &mut Cursor<'_>) -> Parse<Partial> {
    let backwards = c.eat(b'-');
    let from = c.nz_number()?;
    c.expect(b':', "a range like 1:500 was expected")?;
    if c.eat(b'-') != backwards {
        return Err(Fault::Bad("both ends of a PARTIAL range have one sign"));
    }
    Ok(Partial { from, to: c.nz_number()?, backwards })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<(SearchReturn, Option<Partial>)> {
        let mut c = Cursor::new(text.as_bytes());
        let found = options(&mut c).ok()?;
        c.end().ok().map(|()| (found.ret.unwrap_or_default(), found.partial))
    }

    #[test]
    fn result_options() {
        assert_eq!(of("()"), Some((SearchReturn::ALL, None)));
        assert_eq!(of("(save)"), Some((SearchReturn::SAVE, None)));
        let partial = Partial { from: 3, to: 1, backwards: true };
        assert_eq!(of("(PARTIAL -3:-1 min)"), Some((SearchReturn::PARTIAL.with(SearchReturn::MIN), Some(partial))));
        assert_eq!(
            of("(UPDATE (UID BODY[HEADER.FIELDS (SUBJECT)]) COUNT)").map(|o| o.0),
            of("(COUNT UPDATE)").map(|o| o.0)
        );
        for bad in [
            "(UPDATE ())",
            "(UPDATE (BOGUS))",
            "(PARTIAL)",
            "(PARTIAL 1)",
            "(PARTIAL 0:1)",
            "(PARTIAL -1:1)",
            "(PARTIAL 1:*)",
            "(X)",
            "(PARTIAL 1:-2)",
            "(ALL PARTIAL 1:2)",
            "(PARTIAL 1:2 PARTIAL 3:4)",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn ranges_within_results() {
        let within = |from, to, backwards, len| {
            let range = Partial { from, to, backwards }.within(len);
            (range.start, range.end.max(range.start))
        };
        assert_eq!(within(1, 3, false, 10), (0, 3));
        assert_eq!(within(12, 8, false, 10), (7, 10));
        assert_eq!(within(11, 12, false, 10), (10, 10));
        assert_eq!(within(1, 3, true, 10), (7, 10));
        assert_eq!(within(8, 12, true, 10), (0, 3));
        assert_eq!(within(11, 12, true, 10), (0, 0));
        assert_eq!(within(1, u32::MAX, true, 0), (0, 0));
        assert_eq!(within(1, u32::MAX, false, 2), (0, 2));
    }
}
