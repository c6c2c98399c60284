//! What a domain's administrator, who has Zimbra's `domainAdminRights` on it, may do with every command that sites use: in
//! his domain, in another one, and to the cluster.

use super::{Memory, prov, run, text, words};
use crate::{LineOutcome, Prov};
use std::collections::BTreeSet;
use std::sync::Arc;
use zcluster_api::Actor;

const WORLD: &str = "
cd own.example
cd other.example
cc gold
cs mx1.test
ca boss@own.example secret1 zimbraIsDelegatedAdminAccount TRUE
ca root@own.example secret1 zimbraIsAdminAccount TRUE
ca ann@own.example secret1 displayName Ann
ca zoe@other.example secret1 displayName Zoe
aaa zoe@other.example zoe.z@other.example
cdl team@other.example
adlm team@other.example zoe@other.example
adla team@other.example crew@other.example
ccr room@other.example ''
cid zoe@other.example work
csig zoe@other.example short
cds zoe@other.example pop3 old zimbraDataSourceEnabled FALSE zimbraDataSourceFolderId 2
grr domain own.example usr boss@own.example domainAdminRights
grr cos gold usr boss@own.example domainAdminCosRights
";

/// What comes of a line.
enum Want {
    /// It is carried out.
    Done,
    /// It is carried out, and its answer has the one word and not the other.
    Shows(&'static str, &'static str),
    /// `service.PERM_DENIED`.
    Denied,
    /// Another code.
    Code(&'static str),
}
use Want::{Code, Denied, Done, Shows};

/// In order: later lines find what earlier ones made.
const TABLE: &[(&str, Want)] = &[
    // Accounts.
    ("ca new@own.example secret1", Done),
    ("ca new@other.example secret1", Denied),
    ("ca new@nowhere.example secret1", Denied),
    ("ca new@own.example secret1", Code("account.ACCOUNT_EXISTS")),
    ("ca weak@own.example abc", Code("account.INVALID_PASSWORD")),
    ("ca weak@other.example abc", Denied),
    ("ca lord@own.example secret1 zimbraIsAdminAccount TRUE", Denied),
    ("ca big@own.example secret1 zimbraMailQuota 1GB", Denied),
    ("ga ann@own.example displayName", Shows("displayName: Ann", "Zoe")),
    ("ga ann@own.example zimbraFeatureMailEnabled", Shows("zimbraFeatureMailEnabled: TRUE", "zoe")),
    ("ga zoe@other.example", Denied),
    ("ga zoe@other.example displayName", Denied),
    ("ga nobody@other.example", Denied),
    ("ga nobody@nowhere.example", Denied),
    ("ga nobody@own.example", Code("account.NO_SUCH_ACCOUNT")),
    ("gaa", Shows("ann@own.example", "other.example")),
    ("gaa -v", Shows("# name ann@own.example", "other.example")),
    ("gaa own.example", Shows("ann@own.example", "other.example")),
    ("gaa other.example", Denied),
    ("gaaa", Shows("boss@own.example", "other.example")),
    ("ma ann@own.example displayName Anna", Done),
    ("ma ann@own.example userPassword secret5", Done),
    ("ma zoe@other.example displayName X", Denied),
    ("ma zoe@other.example userPassword secret5", Denied),
    ("ma ann@own.example zimbraMailQuota 1GB", Denied),
    ("ma ann@own.example zimbraIsAdminAccount TRUE", Denied),
    ("ma boss@own.example zimbraIsAdminAccount TRUE", Denied),
    ("ma root@own.example displayName X", Denied),
    ("sp ann@own.example secret2", Done),
    ("sp ann@own.example abc", Code("account.INVALID_PASSWORD")),
    ("sp zoe@other.example secret2", Denied),
    ("sp zoe@other.example abc", Denied),
    ("sp root@own.example secret2", Denied),
    ("cps ann@own.example secret2", Done),
    ("cps zoe@other.example secret2", Denied),
    ("sac ann@own.example gold", Done),
    ("sac ann@own.example default", Denied),
    ("sac zoe@other.example gold", Denied),
    ("aaa ann@own.example ann.a@own.example", Done),
    ("aaa ann@own.example ann@other.example", Denied),
    ("aaa zoe@other.example zoe@own.example", Denied),
    ("raa ann@own.example ann.a@own.example", Done),
    ("raa zoe@other.example zoe.z@other.example", Denied),
    ("ra new@own.example newer@own.example", Done),
    ("ra newer@own.example newer@other.example", Denied),
    ("ra zoe@other.example zoe2@other.example", Denied),
    ("ra zoe@other.example zoe@own.example", Denied),
    ("cpe newer@own.example newest@own.example", Done),
    ("cpe newest@own.example newest@other.example", Denied),
    ("cpe zoe@other.example zoe2@other.example", Denied),
    ("gmi ann@own.example", Shows("quotaUsed: 0", "zoe")),
    ("gmi zoe@other.example", Denied),
    ("gqu mx1.test", Shows("ann@own.example", "other.example")),
    ("gsi ann@own.example", Done),
    ("gsi zoe@other.example", Denied),
    // Lists.
    ("cdl staff@own.example", Done),
    ("cdl staff@other.example", Denied),
    ("cddl dynamic@own.example", Denied),
    ("cddl dynamic@other.example", Denied),
    ("adlm staff@own.example ann@own.example zoe@other.example", Done),
    ("adlm team@other.example ann@own.example", Denied),
    ("rdlm staff@own.example zoe@other.example", Done),
    ("rdlm team@other.example zoe@other.example", Denied),
    ("mdl staff@own.example displayName Staff", Done),
    ("mdl team@other.example displayName Team", Denied),
    ("adla staff@own.example crew@own.example", Done),
    ("adla staff@own.example staff@other.example", Denied),
    ("adla team@other.example team@own.example", Denied),
    ("gdl staff@own.example", Shows("ann@own.example", "zoe")),
    ("gdl team@other.example", Denied),
    ("gdl nobody@other.example", Denied),
    ("gadl", Shows("staff@own.example", "other.example")),
    ("gadl other.example", Denied),
    ("gam ann@own.example", Shows("staff@own.example", "other.example")),
    ("gam zoe@other.example", Denied),
    ("gdlm staff@own.example", Done),
    ("gdlm team@other.example", Denied),
    ("rdla staff@own.example crew@own.example", Done),
    ("rdla team@other.example crew@other.example", Denied),
    ("rdl staff@own.example people@own.example", Done),
    ("rdl people@own.example people@other.example", Denied),
    ("rdl team@other.example team2@other.example", Denied),
    ("ddl people@own.example", Done),
    ("ddl team@other.example", Denied),
    // Resources.
    ("ccr room@own.example ''", Done),
    ("ccr room2@other.example ''", Denied),
    ("gcr room@own.example", Shows("# name room@own.example", "other.example")),
    ("gcr room@other.example", Denied),
    ("gacr", Shows("room@own.example", "other.example")),
    ("mcr room@own.example displayName Room", Done),
    ("mcr room@other.example displayName Room", Denied),
    ("scr own.example zimbraCalResType eq Location", Shows("room@own.example", "other.example")),
    ("scr other.example zimbraCalResType eq Location", Denied),
    ("rcr room@own.example hall@own.example", Done),
    ("rcr room@other.example hall@other.example", Denied),
    ("dcr hall@own.example", Done),
    ("dcr room@other.example", Denied),
    // What belongs to accounts.
    ("cid ann@own.example work", Done),
    ("cid zoe@other.example home", Denied),
    ("mid ann@own.example work zimbraPrefFromDisplay Ann", Done),
    ("mid zoe@other.example work zimbraPrefFromDisplay Zoe", Denied),
    ("mid zoe@other.example DEFAULT zimbraPrefFromDisplay Zoe", Denied),
    ("gid ann@own.example", Shows("# name work", "zoe")),
    ("gid zoe@other.example", Denied),
    ("gid root@own.example", Denied),
    ("did ann@own.example work", Done),
    ("did zoe@other.example work", Denied),
    ("csig ann@own.example short", Done),
    ("csig zoe@other.example long", Denied),
    ("msig ann@own.example short zimbraPrefMailSignature Ann", Done),
    ("msig zoe@other.example short zimbraPrefMailSignature Zoe", Denied),
    ("gsig ann@own.example", Shows("# name short", "zoe")),
    ("gsig zoe@other.example", Denied),
    ("dsig ann@own.example short", Done),
    ("dsig zoe@other.example short", Denied),
    ("cds ann@own.example pop3 old zimbraDataSourceEnabled FALSE zimbraDataSourceFolderId 2", Done),
    ("cds zoe@other.example pop3 new zimbraDataSourceEnabled FALSE zimbraDataSourceFolderId 2", Denied),
    ("mds ann@own.example old zimbraDataSourceHost pop.test", Done),
    ("mds zoe@other.example old zimbraDataSourceHost pop.test", Denied),
    ("gds ann@own.example", Shows("# name old", "zoe")),
    ("gds zoe@other.example", Denied),
    ("dds ann@own.example old", Done),
    ("dds zoe@other.example old", Denied),
    // Domains.
    ("cd third.example", Denied),
    ("cd sub.own.example", Denied),
    ("cad alias.example own.example", Denied),
    ("cad alias.example other.example", Denied),
    ("gd own.example zimbraDomainName", Shows("zimbraDomainName: own.example", "other")),
    ("gd other.example", Denied),
    ("gd nowhere.example", Denied),
    ("gdi name own.example", Shows("own.example", "other.example")),
    ("gdi name other.example", Denied),
    ("gad", Shows("own.example", "other.example")),
    ("md own.example zimbraPrefTimeZoneId Europe/Berlin", Done),
    ("md own.example zimbraDomainMaxAccounts 1000", Denied),
    ("md other.example zimbraPrefTimeZoneId Europe/Berlin", Denied),
    ("rd own.example own2.example", Denied),
    ("rd other.example other2.example", Denied),
    ("dd own.example", Denied),
    ("dd other.example", Denied),
    ("cta own.example", Shows("gold", "other")),
    ("cta other.example", Denied),
    ("cto account -d own.example", Done),
    ("cto account -d other.example", Denied),
    ("gdpak own.example", Denied),
    ("gdpak other.example", Denied),
    ("gdpa own.example ann@own.example name 0 0", Denied),
    ("gdpa other.example zoe@other.example name 0 0", Denied),
    // COS.
    ("cc silver", Denied),
    ("cpc gold silver", Denied),
    ("gc gold", Shows("# name gold", "default")),
    ("gc default", Denied),
    ("gac", Shows("gold", "default")),
    ("mc gold zimbraNotes x", Denied),
    ("mc default zimbraNotes x", Denied),
    ("rc gold silver", Denied),
    ("dc gold", Denied),
    // The cluster.
    ("gacf", Denied),
    ("gcf zimbraDefaultDomainName", Denied),
    ("mcf zimbraDefaultDomainName own.example", Denied),
    ("cs mx2.test", Denied),
    ("gs mx1.test", Denied),
    ("gas", Shows("", "mx1")),
    ("ms mx1.test zimbraNotes x", Denied),
    ("ds mx1.test", Denied),
    ("gamcs", Shows("", "mx1")),
    ("gamau", Shows("", "mx1")),
    // Looking around.
    ("sa (mail=*)", Shows("ann@own.example", "other.example")),
    ("sa (mail=*) sortBy name limit 100", Shows("ann@own.example", "other.example")),
    ("sa -v (displayName=Zoe)", Shows("", "zoe")),
    ("sg own.example ann", Shows("ann@own.example", "zoe")),
    ("sg other.example zoe", Denied),
    ("acg own.example ann", Shows("ann@own.example", "zoe")),
    ("acg other.example zoe", Denied),
    ("syg own.example", Shows("ann@own.example", "zoe")),
    ("syg other.example", Denied),
    // Rights.
    ("grr account ann@own.example usr newest@own.example sendAs", Denied),
    ("grr domain own.example usr boss@own.example modifyAccount", Denied),
    ("grr domain other.example usr boss@own.example domainAdminRights", Denied),
    ("grr global usr boss@own.example domainAdminRights", Denied),
    ("rvr domain own.example usr boss@own.example domainAdminRights", Denied),
    ("rvr domain other.example usr boss@own.example domainAdminRights", Denied),
    ("ckr account ann@own.example boss@own.example sendAs", Shows("DENIED", "ALLOWED")),
    ("ckr account zoe@other.example boss@own.example sendAs", Denied),
    ("ckr account ann@own.example zoe@other.example sendAs", Denied),
    ("gg -t domain own.example", Shows("domainAdminRights", "other")),
    ("gg -t domain other.example", Denied),
    ("gr domainAdminRights", Done),
    ("gar", Done),
    ("ger account ann@own.example boss@own.example", Shows("setAccountPassword", "other")),
    ("ger account zoe@other.example boss@own.example", Denied),
    ("ger account ann@own.example zoe@other.example", Denied),
    ("gaer usr boss@own.example", Shows("domain own.example", "other")),
    ("gaer usr zoe@other.example", Denied),
    ("gcoa account own.example gold boss@own.example", Shows("displayName", "zimbraIsAdminAccount")),
    ("gcoa account other.example gold boss@own.example", Denied),
    // What tells nobody's secrets.
    ("desc -a zimbraMailQuota", Done),
    ("fc all", Done),
    ("help account", Done),
    // What goes.
    ("da newest@own.example", Done),
    ("da root@own.example", Denied),
    ("da zoe@other.example", Denied),
    ("da nobody@other.example", Denied),
    ("exit", Done),
];

/// The world, and its domain's administrator.
fn world() -> (Arc<Memory>, Prov) {
    let memory = Arc::new(Memory::with_account("admin@example.com", ""));
    let system = prov(&memory, Actor::System);
    for line in WORLD.lines().filter(|l| !l.is_empty()) {
        let made = run(system.run(&words(line)));
        assert!(made.is_ok(), "{line}: {made:?}");
    }
    let boss = run(system.account("boss@own.example")).unwrap().id;
    let boss = prov(&memory, Actor::Account(boss));
    (memory, boss)
}

fn fits(want: &Want, outcome: &LineOutcome) -> bool {
    match (want, outcome) {
        (Done, LineOutcome::Done(_)) => true,
        (Shows(word, other), LineOutcome::Done(reply)) => {
            let shown = reply.print();
            shown.contains(word) && !shown.contains(other)
        }
        (Denied, LineOutcome::Refused { code, text }) => {
            code == "service.PERM_DENIED" && text.starts_with("permission denied: ")
        }
        (Code(wanted), LineOutcome::Refused { code, .. }) => code == wanted,
        _ => false,
    }
}

#[test]
fn a_domains_administrator_has_his_domain_and_nothing_else() {
    let (_memory, boss) = world();
    let mut wrong = 0;
    for (line, want) in TABLE {
        let outcome = LineOutcome::from(run(boss.run(&words(line))));
        if !fits(want, &outcome) {
            println!("--- {line}: {}", text(&outcome));
            wrong += 1;
        }
    }
    assert_eq!(wrong, 0);
}

#[test]
fn every_command_that_sites_use_is_asked() {
    let asked: BTreeSet<&str> =
        TABLE.iter().filter_map(|(l, _)| crate::table::find(&words(l)[0])).map(|c| c.name).collect();
    let there = crate::table::all().iter().filter(|c| c.priority <= 2 && crate::commands::is_there(c.name));
    let missing: Vec<&str> = there.map(|c| c.name).filter(|n| !asked.contains(n)).collect();
    assert_eq!(missing, [""; 0]);
}

/// Whoever lost the rights has nothing left; and what was refused was not done.
#[test]
fn nothing_of_what_was_refused_was_done() {
    let (memory, boss) = world();
    let system = prov(&memory, Actor::System);
    let all = |line: &str| run(system.run(&words(line))).unwrap().print();
    let other =
        ["ga zoe@other.example", "gdl team@other.example", "gcr room@other.example", "gd other.example", "gacf"];
    let before: Vec<String> = other.iter().map(|l| all(l)).collect();
    for (line, _) in TABLE {
        let _ = run(boss.run(&words(line)));
    }
    let after: Vec<String> = other.iter().map(|l| all(l)).collect();
    assert_eq!(before, after);
    run(system.run(&words("rvr domain own.example usr boss@own.example domainAdminRights"))).unwrap();
    for line in ["ga ann@own.example", "ca late@own.example secret1", "sp ann@own.example secret3"] {
        assert!(fits(&Denied, &LineOutcome::from(run(boss.run(&words(line))))), "{line}");
    }
}

/// Who may only change passwords is held to the rules that count for their owners.
#[test]
fn who_may_only_change_passwords_is_held_to_all_rules() {
    let (memory, boss) = world();
    let system = prov(&memory, Actor::System);
    let go = |prov: &Prov, line: &str| LineOutcome::from(run(prov.run(&words(line))));
    for line in [
        "rvr domain own.example usr boss@own.example domainAdminRights",
        "grr domain own.example usr boss@own.example changeAccountPassword",
        "ma ann@own.example zimbraPasswordEnforceHistory 3 zimbraPasswordMinAge 0",
    ] {
        assert!(fits(&Done, &go(&system, line)), "{line}");
    }
    for (line, want) in [
        ("sp ann@own.example secret7", Done),
        ("sp ann@own.example secret7", Code("account.PASSWORD_RECENTLY_USED")),
        ("sp ann@own.example abc", Code("account.INVALID_PASSWORD")),
        ("sp zoe@other.example secret7", Denied),
        ("ma ann@own.example userPassword {SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0", Denied),
        ("ma ann@own.example displayName X", Denied),
    ] {
        let outcome = go(&boss, line);
        assert!(fits(&want, &outcome), "{line}: {}", text(&outcome));
    }
    // An administrator is not.
    assert!(fits(&Done, &go(&system, "sp ann@own.example secret7")));
    assert!(fits(&Done, &go(&system, "ma ann@own.example zimbraPasswordMinAge 1")));
    assert!(fits(&Code("account.PASSWORD_CHANGE_TOO_SOON"), &go(&boss, "sp ann@own.example secret8")));
    assert!(fits(&Done, &go(&system, "sp ann@own.example secret8")));
}

/// Every way to give a password in the clear asks the rules of the account as it will be.
#[test]
fn clear_passwords_are_as_the_rules_want_them() {
    let (memory, _) = world();
    let system = prov(&memory, Actor::System);
    let go = |line: &str| LineOutcome::from(run(system.run(&words(line))));
    let hash = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";
    let pinned = format!("ca h@own.example '' userPassword {hash}");
    let weak = Code("account.INVALID_PASSWORD");
    for (line, want) in [
        ("cc strict zimbraPasswordMinLength 10", &Done),
        ("ca a@own.example secret1 zimbraPasswordMinLength 10", &weak),
        ("ca a@own.example abcde", &weak),
        ("ca a@own.example '' userPassword abcde", &weak),
        ("ca a@nowhere.example abcde", &Code("account.NO_SUCH_DOMAIN")),
        (&pinned, &Done),
        ("ca a@own.example secret1", &Done),
        ("ma a@own.example userPassword abcde", &weak),
        ("ma a@own.example +userPassword abcde", &weak),
        ("ma a@own.example userPassword {CRYPT}nonsense", &weak),
        ("sp a@own.example abcde", &weak),
        ("sp a@own.example ''", &weak),
        ("ccr r@own.example abcde", &weak),
        ("ma a@own.example zimbraPasswordMinNumericChars 2 userPassword secret1", &weak),
        ("ma a@own.example zimbraPasswordMinNumericChars 2 userPassword secret12", &Done),
        ("ga a@own.example zimbraPasswordMinNumericChars", &Shows("zimbraPasswordMinNumericChars: 2", "zoe")),
        ("sac a@own.example strict", &Done),
        ("sp a@own.example secret12", &weak),
        ("sp a@own.example secret1234", &Done),
        ("ma a@own.example userPassword secret5678 zimbraPasswordMustChange TRUE", &Done),
        ("ga a@own.example zimbraPasswordMustChange", &Shows("zimbraPasswordMustChange: TRUE", "zoe")),
        ("ga a@own.example zimbraPasswordModifiedTime", &Shows("zimbraPasswordModifiedTime: 2", "zoe")),
    ] {
        let outcome = go(line);
        assert!(fits(want, &outcome), "{line}: {}", text(&outcome));
    }
    // Of a COS that the line itself names.
    let strict = run(system.run(&words("gc strict zimbraId"))).unwrap().print();
    let id = strict.lines().find_map(|l| l.strip_prefix("zimbraId: ")).unwrap();
    assert!(fits(&weak, &go(&format!("ca b@own.example secret1 zimbraCOSId {id}"))));
    let new = go("ca c@own.example secret1");
    assert!(fits(&Done, &new));
    assert!(fits(&Shows("zimbraPasswordModifiedTime: 2", "zoe"), &go("ga c@own.example zimbraPasswordModifiedTime")));
    assert!(fits(&weak, &go(&format!("ma c@own.example zimbraCOSId {id} userPassword secret1"))));
}
