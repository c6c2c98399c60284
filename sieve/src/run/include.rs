//! `include` (RFC 6609).

use super::{Flow, Frame, Run, Runner};
use crate::context::{IncludeError, Location};
use crate::diagnostic::shown;
use crate::text::Text;
use crate::valid;

impl Runner<'_> {
    pub(super) fn include(&mut self, location: Location, once: bool, optional: bool, name: &Text) -> Run<Flow> {
        let name = self.expand(name)?;
        if !valid::script_name(&name) {
            return Err("this is no script's name".into());
        }
        let key = (location, name);
        if once && self.included.contains(&key) {
            return Ok(Flow::Next);
        }
        let failed = |why: String| format!("cannot include \"{}\": {why}", shown(&key.1));
        if self.frames.iter().any(|f| f.script.as_ref() == Some(&key)) {
            return Err(failed("it includes itself".into()).into());
        }
        if self.frames.len() > self.limits.include_depth {
            return Err(failed(format!("includes are nested more than {} deep", self.limits.include_depth)).into());
        }
        self.includes += 1;
        if self.includes > self.limits.includes {
            return Err(failed(format!("more than {} includes", self.limits.includes)).into());
        }
        let script = match self.context.include(location, &key.1) {
            Ok(script) => script,
            Err(IncludeError::Missing) if optional => return Ok(Flow::Next),
            Err(e) => return Err(failed(e.to_string()).into()),
        };
        self.included.insert(key.clone());
        self.frames.push(Frame { script: Some(key), ..Frame::default() });
        let flow = self.block(&script.0.body)?;
        self.frames.pop();
        self.count_variables();
        Ok(if flow == Flow::Stop { Flow::Stop } else { Flow::Next })
    }
}
