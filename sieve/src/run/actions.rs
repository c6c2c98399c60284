//! Actions that store, send on and refuse; how they go together (RFC 5228 §2.10, RFC 5429 §2.6).

use super::{Run, Runner};
use crate::address;
use crate::outcome::{Action, Fcc, Target};
use crate::program::{FccText, FlagOp, TargetText, Texts};
use crate::text::{Text, VarName};
use crate::valid;

impl Runner<'_> {
    pub(super) fn act(&mut self, action: Action) -> Run<()> {
        if self.actions.len() >= self.limits.actions {
            return Err(format!("the script does more than {} things", self.limits.actions).into());
        }
        self.actions.push(action);
        Ok(())
    }

    /// Nothing else may be done with a message that is refused.
    fn not_rejected(&self, what: &str) -> Run<()> {
        if self.actions.iter().any(|a| matches!(a, Action::Reject { .. })) {
            return Err(format!("`{what}` cannot go together with `reject`").into());
        }
        Ok(())
    }

    pub(super) fn keep(&mut self, flags: Vec<String>, implicit: bool) -> Run<()> {
        if !implicit {
            self.not_rejected("keep")?;
            self.implicit_keep = false;
        }
        for action in &mut self.actions {
            if let Action::Keep { flags: known, implicit: was, .. } = action {
                merge(known, &flags, self.limits.flags);
                *was &= implicit;
                return Ok(());
            }
        }
        let message = self.mail_now()?;
        self.act(Action::Keep { flags, implicit, message })
    }

    /// The edited bytes at this point. Within a loop, changes of parts are seen only after it.
    pub(super) fn mail_now(&mut self) -> Run<Option<zcluster_api::Bytes>> {
        if self.loops.is_empty() {
            self.mail.apply(self.limits)?;
        }
        let message = self.mail.current();
        if let Some(message) = &message {
            self.budget.spend_bytes(message.len() / 8)?;
        }
        Ok(message)
    }

    pub(super) fn file_into(&mut self, target: &TargetText, copy: bool, flags: Option<&Texts>) -> Run<()> {
        self.not_rejected("fileinto")?;
        let target = self.target(target)?;
        let flags = self.action_flags(flags)?;
        let inbox = target.mailbox_id.is_none() && target.special_use.is_none() && is_inbox(&target.mailbox);
        let implicit = self.implicit_keep;
        if inbox {
            self.keep(flags, false)?;
            self.implicit_keep = implicit && copy;
            return Ok(());
        }
        if !copy {
            self.implicit_keep = false;
        }
        for action in &mut self.actions {
            let Action::FileInto { target: known, copy: was, flags: have, .. } = action else { continue };
            let same = known.mailbox == target.mailbox
                && known.mailbox_id == target.mailbox_id
                && known.special_use == target.special_use;
            if same {
                known.create |= target.create;
                *was &= copy;
                merge(have, &flags, self.limits.flags);
                return Ok(());
            }
        }
        let message = self.mail_now()?;
        self.act(Action::FileInto { target, copy, flags, message })
    }

    pub(super) fn target(&mut self, text: &TargetText) -> Run<Target> {
        let mailbox = self.expand(&text.mailbox)?;
        valid::mailbox(&mailbox)?;
        let mailbox_id = text.mailbox_id.as_ref().map(|t| self.expand(t)).transpose()?;
        let special_use = text.special_use.as_ref().map(|t| self.expand(t)).transpose()?;
        if special_use.as_ref().is_some_and(|s| !valid::special_use(s)) {
            return Err("a special use must begin with a backslash".into());
        }
        Ok(Target { mailbox, mailbox_id, special_use, create: text.create })
    }

    pub(super) fn fcc(&mut self, fcc: Option<&FccText>) -> Run<Option<Fcc>> {
        let Some(fcc) = fcc else { return Ok(None) };
        let target = self.target(&fcc.target)?;
        let flags = match &fcc.flags {
            Some(flags) => self.flag_list(flags)?,
            None => Vec::new(),
        };
        Ok(Some(Fcc { target, flags }))
    }

    pub(super) fn redirect(&mut self, address: &Text, copy: bool) -> Run<()> {
        self.not_rejected("redirect")?;
        let text = self.expand(address)?;
        let Some(mailbox) = address::parse(&text) else {
            return Err(format!("\"{}\" is no valid mail address", crate::diagnostic::shown(&text)).into());
        };
        let address = mailbox.addr_spec();
        if !copy {
            self.implicit_keep = false;
        }
        let mut redirects = 0;
        for action in &mut self.actions {
            let Action::Redirect { address: known, copy: was, .. } = action else { continue };
            if known.eq_ignore_ascii_case(&address) {
                *was &= copy;
                return Ok(());
            }
            redirects += 1;
        }
        if redirects >= self.limits.redirects {
            return Err(format!("the script redirects to more than {} addresses", self.limits.redirects).into());
        }
        let message = self.mail_now()?;
        self.act(Action::Redirect { address, copy, message })
    }

    pub(super) fn reject(&mut self, reason: &Text, ereject: bool) -> Run<()> {
        let others = |a: &Action| !matches!(a, Action::Notify(_));
        if self.actions.iter().any(others) {
            return Err("`reject` cannot go together with what was done before: keep, fileinto, redirect, vacation or another reject".into());
        }
        let reason = self.expand(reason)?;
        self.implicit_keep = false;
        self.act(Action::Reject { reason, ereject })
    }

    pub(super) fn no_reject_for_vacation(&self) -> Run<()> {
        self.not_rejected("vacation")
    }

    /// `:flags`, or the internal variable.
    pub(super) fn action_flags(&mut self, flags: Option<&Texts>) -> Run<Vec<String>> {
        match flags {
            Some(flags) => self.flag_list(flags),
            None => Ok(self.flags.clone()),
        }
    }

    /// Flags of a list of strings, several in one string allowed (RFC 5232 §2): valid ones, each once.
    pub(super) fn flag_list(&mut self, flags: &Texts) -> Run<Vec<String>> {
        let texts = self.expand_all(flags)?;
        let mut out = Vec::new();
        texts.iter().for_each(|t| merge(&mut out, &split(t), self.limits.flags));
        Ok(out)
    }

    pub(super) fn flag_command(&mut self, op: FlagOp, variable: Option<&VarName>, flags: &Texts) -> Run<()> {
        let given = self.flag_list(flags)?;
        let mut now = match variable {
            Some(name) => split(self.value(name)),
            None => self.flags.clone(),
        };
        match op {
            FlagOp::Set => now = given,
            FlagOp::Add => merge(&mut now, &given, self.limits.flags),
            FlagOp::Remove => now.retain(|f| !given.iter().any(|g| g.eq_ignore_ascii_case(f))),
        }
        match variable {
            Some(name) => self.assign(name, now.join(" ")),
            None => {
                self.flags = now;
                Ok(())
            }
        }
    }
}

pub(super) fn is_inbox(mailbox: &str) -> bool {
    mailbox.trim_matches('/').eq_ignore_ascii_case("inbox")
}

/// Valid flags of a space-separated list.
pub(super) fn split(flags: &str) -> Vec<String> {
    flags.split_ascii_whitespace().filter(|f| valid::flag(f)).map(str::to_string).collect()
}

/// Adds what is not there yet, case aside.
fn merge(flags: &mut Vec<String>, more: &[String], max: usize) {
    for flag in more {
        if flags.len() < max && !flags.iter().any(|f| f.eq_ignore_ascii_case(flag)) {
            flags.push(flag.clone());
        }
    }
}
