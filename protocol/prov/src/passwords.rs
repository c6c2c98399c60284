//! Passwords that lines set: whether they are as the account's attributes want them, and what is stored of them.
//!
//! Whoever sets one, it must be strong enough (`zimbraPasswordMinLength` and so on); of an administrator who may only change
//! it (`changeAccountPassword`) age, history and lock count too, as for its owner.

use crate::call::Call;
use crate::prov::Prov;
use zcluster_api::directory::{Account, Modification, ModifyKind, Object, ObjectKind};
use zcluster_auth::PASSWORD_BYTES_MAX;
use zcluster_directory::{Failure, PasswordRules};

/// What is stored of a password, computed before; with its text.
pub(crate) type Hashed = (String, Result<Vec<String>, Failure>);

fn refused(text: impl Into<String>) -> Failure {
    Failure::new("account.INVALID_PASSWORD", text)
}

/// What is stored of a password. Hashing costs tens of milliseconds by design: not on the event loop.
pub(crate) async fn values(password: &str) -> Result<Vec<String>, Failure> {
    if password.is_empty() || password.len() > PASSWORD_BYTES_MAX {
        return Err(refused(format!("invalid password: it must have 1 to {PASSWORD_BYTES_MAX} bytes")));
    }
    let password = password.to_string();
    apart(move || zcluster_auth::password_values(params(), &password)).await
}

/// Work that costs what hashes cost.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    zcluster_runtime::spawn_blocking(work).await.map_err(|e| Failure::new("service.FAILURE", e.to_string()))
}

/// Tests make many accounts.
fn params() -> zcluster_auth::HashParams {
    if cfg!(test) { zcluster_auth::HashParams::cheap() } else { zcluster_auth::HashParams::default() }
}

fn sets_password(change: &Modification) -> bool {
    let sets = matches!(change.kind, ModifyKind::Replace | ModifyKind::Add);
    sets && change.name.eq_ignore_ascii_case("userPassword")
}

/// Whether a value of `userPassword` is a password, not a hash of one.
///
/// # Errors
/// A hash that could never be verified.
fn is_clear(value: &str) -> Result<bool, Failure> {
    match zcluster_auth::scheme_not_supported(value) {
        Some(scheme) => {
            Err(refused(format!("stored passwords of scheme {scheme} are not supported, or ask for too much work")))
        }
        None => Ok(!value.is_empty() && !zcluster_auth::is_password_hash(value)),
    }
}

/// The passwords that a call gives in the clear: worth hashing before it is its turn.
pub(crate) fn given(call: &Call<'_>) -> Vec<String> {
    let (argument, pairs) = match call.command.name {
        "createAccount" | "createCalendarResource" => (call.arg(1), call.from(2)),
        "setPassword" => (call.arg(1), &[][..]),
        "modifyAccount" | "modifyCalendarResource" => ("", call.from(1)),
        _ => return Vec::new(),
    };
    let sets = |name: &str| name.trim_start_matches('+').eq_ignore_ascii_case("userPassword");
    let attributes = pairs.chunks(2).filter(|p| p.len() == 2 && sets(p[0])).map(|p| p[1]);
    let clear = attributes.filter(|v| is_clear(v).unwrap_or(false));
    Some(argument).filter(|a| !a.is_empty()).into_iter().chain(clear).map(String::from).collect()
}

/// Whether the account may have this password, as its attributes (`zimbraPasswordMinLength` and so on) say.
///
/// # Errors
/// `account.INVALID_PASSWORD`, with the attribute that it violates.
pub(crate) fn check_strength(account: &Account, password: &str) -> Result<(), Failure> {
    zcluster_auth::check_password_strength(account, password).map_err(|v| Failure::new(v.code(), v.to_string()))
}

/// The same by the rules that count for whoever sets it.
async fn check(account: &Account, rules: PasswordRules, password: &str) -> Result<(), Failure> {
    if rules == PasswordRules::Strength {
        return check_strength(account, password);
    }
    let (account, password) = (account.clone(), password.to_string());
    let now_ms = zcluster_runtime::wall_ms();
    let checked = apart(move || zcluster_auth::check_new_password(&account, &password, now_ms)).await?;
    checked.map_err(|v| Failure::new(v.code(), v.to_string()))
}

impl Prov {
    /// What is stored of a password that a call gives, computed before or now.
    async fn stored(&self, call: &Call<'_>, password: &str) -> Result<Vec<String>, Failure> {
        match call.hashed.iter().find(|(text, _)| text == password) {
            Some((_, hashed)) => hashed.clone(),
            None => values(password).await,
        }
    }

    /// Takes the clear passwords out of changes and puts in what is stored of them; the passwords.
    async fn store(&self, call: &Call<'_>, changes: &mut [Modification]) -> Result<(), Failure> {
        for change in changes.iter_mut().filter(|m| sets_password(m)) {
            let mut stored = Vec::new();
            for value in std::mem::take(&mut change.values) {
                match is_clear(&value)? {
                    true => stored.extend(self.stored(call, &value).await?),
                    false => stored.push(value),
                }
            }
            change.values = stored;
        }
        Ok(())
    }

    /// A new account's password, given as such or among its attributes: checked, and what is stored of it among the
    /// attributes. Gives what goes with it, which nobody may set by itself.
    pub(crate) async fn first_password(
        &self,
        call: &Call<'_>,
        (kind, name): (ObjectKind, &str),
        password: &str,
        attrs: &mut Vec<Modification>,
    ) -> Result<Vec<Modification>, Failure> {
        let mut clear = clear_in(attrs)?;
        clear.extend(Some(password.to_string()).filter(|p| !p.is_empty()));
        if clear.is_empty() {
            return Ok(Vec::new());
        }
        let account = self.directory.for_first_password(self.actor, kind, name, attrs).await?;
        clear.iter().try_for_each(|password| check_strength(&account, password))?;
        self.store(call, attrs).await?;
        if !password.is_empty() {
            let values = self.stored(call, password).await?;
            attrs.push(Modification { values, ..Modification::set("userPassword", "") });
        }
        Ok(zcluster_auth::first_password_changes(zcluster_runtime::wall_ms()))
    }

    /// The same of an account that is there; `password` beside what the changes give.
    pub(crate) async fn new_password(
        &self,
        call: &Call<'_>,
        object: &Object,
        password: Option<&str>,
        changes: &mut Vec<Modification>,
    ) -> Result<Vec<Modification>, Failure> {
        let mut clear = clear_in(changes)?;
        clear.extend(password.map(String::from));
        let given = changes.iter().filter(|m| sets_password(m)).flat_map(|m| &m.values).any(|v| !v.is_empty());
        if clear.is_empty() && !given {
            return Ok(Vec::new());
        }
        let (account, rules) = self.directory.for_password(self.actor, object, changes).await?;
        if clear.is_empty() && rules == PasswordRules::All {
            return Err(Failure::denied("permission denied: a hash cannot be held against the password rules"));
        }
        for password in &clear {
            check(&account, rules, password).await?;
        }
        self.store(call, changes).await?;
        if let Some(password) = password {
            let values = self.stored(call, password).await?;
            changes.push(Modification { values, ..Modification::set("userPassword", "") });
        }
        let mut with = zcluster_auth::stored_password_changes(&account, Vec::new(), zcluster_runtime::wall_ms());
        with.retain(|m| !changes.iter().any(|c| c.name.eq_ignore_ascii_case(&m.name)));
        Ok(with)
    }
}

/// The passwords that changes set in the clear.
fn clear_in(changes: &[Modification]) -> Result<Vec<String>, Failure> {
    let mut out = Vec::new();
    for value in changes.iter().filter(|m| sets_password(m)).flat_map(|m| &m.values) {
        if is_clear(value)? {
            out.push(value.clone());
        }
    }
    Ok(out)
}
