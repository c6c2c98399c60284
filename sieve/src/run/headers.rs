//! `addheader` and `deleteheader` (RFC 5293).

use super::{Run, Runner};
use crate::compile::PROTECTED_FIELDS;
use crate::matching::Match;
use crate::notify_uri::one_line;
use crate::program::{Index, Texts};
use crate::text::Text;
use crate::valid;

/// Bytes of a value that `addheader` takes.
const VALUE_BYTES_MAX: usize = 16 * 1024;

impl Runner<'_> {
    /// The field's name, or `None` when it is one that scripts must leave alone.
    fn editable(&mut self, name: &Text) -> Run<Option<String>> {
        self.header_edits += 1;
        if self.header_edits > self.limits.header_edits {
            return Err(format!("the script edits the header more than {} times", self.limits.header_edits).into());
        }
        self.budget.spend(1 + self.mail.fields.len() as u64 / 8)?;
        let name = self.expand(name)?;
        if !valid::field_name(&name) {
            return Err(format!("\"{}\" is no header field's name", crate::diagnostic::shown(&name)).into());
        }
        Ok((!PROTECTED_FIELDS.iter().any(|p| p.eq_ignore_ascii_case(&name))).then_some(name))
    }

    pub(super) fn add_header(&mut self, last: bool, name: &Text, value: &Text) -> Run<()> {
        let Some(name) = self.editable(name)? else { return Ok(()) };
        let value = self.expand(value)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(format!("a header field's value cannot have more than {VALUE_BYTES_MAX} bytes").into());
        }
        self.mail.add_field(last, &name, &one_line(&value));
        Ok(())
    }

    pub(super) fn delete_header(
        &mut self,
        index: Option<Index>,
        matching: &Match,
        name: &Text,
        values: Option<&Texts>,
    ) -> Run<()> {
        let Some(name) = self.editable(name)? else { return Ok(()) };
        let name = name.to_ascii_lowercase();
        // Numbers count the fields of that name before any is deleted.
        let mut named: Vec<usize> =
            self.mail.fields.iter().enumerate().filter(|(_, f)| f.name == name).map(|(i, _)| i).collect();
        if let Some(index) = index {
            named = super::values::pick(named, index).into_iter().collect();
        }
        let keys = values.map(|v| self.expand_all(v)).transpose()?;
        let mut gone = Vec::new();
        for at in named {
            let Some(field) = self.mail.fields.get(at) else { continue };
            let matched = match &keys {
                None => true,
                Some(keys) => {
                    let value = field.text();
                    self.any_key(matching, &[value], keys, false)?
                }
            };
            if matched {
                gone.push(at);
            }
        }
        let mut at = 0;
        self.mail.keep_fields(|_| {
            at += 1;
            !gone.contains(&(at - 1))
        });
        Ok(())
    }
}
