//! `zmprov` as sites use it: scripts, pipes, and a leader that is killed under one.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::support::cluster::{Cluster, Port, ZCLUSTER, path};
use crate::support::eventually;
use crate::support::imap::Imap;

/// What a site's script for a new customer looks like.
const SCRIPT: &str = r#"
# the customer
cd customer.example zimbraNotes "Customer & sons" zimbraPublicServiceHostname mail.customer.example
createAliasDomain customer.test customer.example
mcf zimbraDefaultDomainName customer.example
md customer.example zimbraPrefTimeZoneId Europe/Berlin zimbraSkinBackgroundColor #ffffff
gd customer.example zimbraNotes

# classes of service
cc standard zimbraMailQuota 5GB zimbraFeatureCalendarEnabled TRUE
cpc standard premium
mc premium zimbraMailQuota 50GB +zimbraNotes 'paid'
gc premium zimbraMailQuota
md customer.example zimbraDomainDefaultCOSId ''

# people
ca anna@customer.example 'secret one' displayName 'Anna A.' givenName Anna sn A
ca bert@customer.example "secret \"two\"" displayName "Bert B." \
   givenName Bert \
   sn B
ca carl@customer.example secret3 zimbraPrefMailSignature 'With kind regards
Carl'
sac anna@customer.example premium
sac bert@customer.example standard
aaa anna@customer.example info@customer.example
aaa anna@customer.example sales@customer.example
ma bert@customer.example +zimbraMailForwardingAddress one@elsewhere.test +zimbraMailForwardingAddress two@elsewhere.test
ma bert@customer.example -zimbraMailForwardingAddress one@elsewhere.test
ga bert@customer.example zimbraMailForwardingAddress
ga carl@customer.example zimbraPrefMailSignature
ga anna@customer.example zimbraMailQuota
raa anna@customer.example sales@customer.example
ra carl@customer.example charles@customer.example
sp charles@customer.example 'better secret'
ma nobody@customer.example displayName Nobody
cps anna@customer.example abcdefgh

# lists
cdl team@customer.example displayName Team
adlm team@customer.example anna@customer.example bert@customer.example
adlm team@customer.example guest@elsewhere.test
rdlm team@customer.example guest@elsewhere.test
adla team@customer.example crew@customer.example
mdl team@customer.example zimbraDistributionListSendShareMessageToNewMembers FALSE
cdl everybody@customer.example
adlm everybody@customer.example team@customer.example charles@customer.example
gdlm team@customer.example
gam anna@customer.example
gdl team@customer.example displayName
cddl premiums@customer.example memberURL 'ldap:///??sub?(displayName=Anna A.)' zimbraIsACLGroup FALSE
gdl premiums@customer.example displayName

# rooms
ccr room1@customer.example '' displayName 'Room 1' zimbraCalResType Location zimbraCalResCapacity 8
mcr room1@customer.example zimbraCalResCapacity 10
scr customer.example zimbraCalResCapacity ge 9
gacr customer.example

# identities, signatures, mailboxes elsewhere
cid anna@customer.example sales zimbraPrefFromAddress info@customer.example
mid anna@customer.example sales zimbraPrefFromDisplay 'Customer & sons'
gid anna@customer.example zimbraPrefFromAddress
csig anna@customer.example short zimbraPrefMailSignature 'Anna'
gsig anna@customer.example zimbraPrefMailSignature
cds bert@customer.example pop3 old zimbraDataSourceEnabled FALSE zimbraDataSourceFolderId 2 zimbraDataSourceHost pop.elsewhere.test
gds bert@customer.example zimbraDataSourceHost

# looking around
sa '(&(objectClass=zimbraAccount)(mail=*@customer.example))' sortBy uid
gaa customer.example
gadl customer.example
cta customer.example
cto account -d customer.example
gas
gac
fc all
gmi anna@customer.example
gqu 127.0.0.1
desc -a zimbraMailQuota
gdpak customer.example
"#;

fn zmprov(cluster: &Cluster, arguments: &[&str]) -> Command {
    let link = cluster.folder.join("zmprov");
    if !link.exists() {
        std::os::unix::fs::symlink(ZCLUSTER, &link).unwrap();
    }
    let mut command = Command::new(link);
    command.env("ZCLUSTER_DATA", path(&cluster.node(1).data)).args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn piped(mut command: Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_sites_script_is_carried_out() {
    let cluster = Cluster::start(3);
    eventually("every node has its server entry", Duration::from_secs(60), || {
        cluster.prov(&["gas"]).lines().count() == 3
    });
    assert_eq!(cluster.prov(&["gas"]), "127.0.0.1\n127.0.0.1-2\n127.0.0.1-3\n");
    let file = cluster.folder.join("script");
    fs::write(&file, SCRIPT).unwrap();
    let output = zmprov(&cluster, &["-l", "-f", path(&file)]).output().unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    let line = SCRIPT.lines().position(|l| l.contains("nobody@")).unwrap() + 1;
    assert_eq!(
        error,
        format!("ERROR: account.NO_SUCH_ACCOUNT (no such account: nobody@customer.example) at line {line}\n")
    );
    assert_eq!(output.status.code(), Some(2), "a script with an error says so at its end");
    for wanted in [
        "# name customer.example\nzimbraNotes: Customer & sons\n\n",
        "# name premium\nzimbraMailQuota: 53687091200\n\n",
        "# name bert@customer.example\nzimbraMailForwardingAddress: two@elsewhere.test\n\n",
        "zimbraPrefMailSignature: With kind regards\nCarl\n",
        "# name anna@customer.example\nzimbraMailQuota: 53687091200\n\n",
        "Password passed strength check.\n",
        "everybody@customer.example\neverybody@customer.example (via team@customer.example)\nteam@customer.example\n",
        "# distributionList team@customer.example memberCount=2\ndisplayName: Team\n\nmembers\nanna@customer.example\nbert@customer.example\n\n",
        "# distributionList premiums@customer.example memberCount=1\n\nmembers\nanna@customer.example\n",
        "room1@customer.example\nroom1@customer.example\n",
        "anna@customer.example\nbert@customer.example\ncharles@customer.example\n",
        "quotaUsed: 0\n",
        "preAuthKey:  ",
    ] {
        assert!(out.contains(wanted), "{wanted:?} is not in\n{out}");
    }
    for node in 1..=3 {
        let login = |account: &str, password: &str| Imap::try_login(cluster.port(node, Port::Imap), account, password);
        assert!(login("anna@customer.example", "secret one").is_ok());
        // IMAP's quotes want the quotes inside escaped.
        assert!(login("bert@customer.test", r#"secret \"two\""#).is_ok(), "through the alias domain");
        assert!(login("charles@customer.example", "better secret").is_ok());
    }

    // A program that writes a line and waits for its answer.
    let mut command = zmprov(&cluster, &[]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = std::io::BufRead::lines(std::io::BufReader::new(output));
    for (line, answer) in [("gad", "customer.example"), ("cto account -d customer.example", "4")] {
        writeln!(input, "{line}").unwrap();
        assert_eq!(answers.next().unwrap().unwrap(), answer);
        if line == "gad" {
            assert_eq!(answers.next().unwrap().unwrap(), "customer.test");
            assert_eq!(answers.next().unwrap().unwrap(), "example.com");
        }
    }
    writeln!(input, "exit").unwrap();
    assert!(child.wait().unwrap().success());

    // With an administrator's password, over the network, in the wrong way.
    let admin = format!("127.0.0.1:{}", cluster.node(1).base + 71);
    let refused = zmprov(&cluster, &["-s", &admin, "-a", "admin@example.com", "-p", "wrong", "gad"]).output().unwrap();
    assert!(!refused.status.success() && !refused.stderr.is_empty());
    let unknown = piped(zmprov(&cluster, &[]), "frobnicate\nca 'unfinished\n");
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(text(&unknown.stderr).lines().count(), 2, "{}", text(&unknown.stderr));
    assert_eq!(zmprov(&cluster, &["da"]).output().unwrap().status.code(), Some(1), "a wrong call");
    assert_eq!(zmprov(&cluster, &["da", "x@example.com"]).output().unwrap().status.code(), Some(2));
}

/// Lines of the batch: half of them make accounts, half change them.
const LINES: usize = 2_000;
/// So many are on their way when the leader dies.
const KILL_AT: usize = 800;

#[test]
fn a_batch_survives_the_death_of_the_directorys_leader() {
    let mut cluster = Cluster::start(3);
    let leader = || cluster.status(1).and_then(|s| s["directory"]["leader"].as_u64());
    eventually("the directory has a leader", Duration::from_secs(30), || leader().is_some());
    let victim = usize::try_from(leader().unwrap()).unwrap();
    let through = cluster.another(victim);
    let mut command = Command::new(ZCLUSTER);
    command.args(["prov", "--data", path(&cluster.node(through).data)]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let reader = std::thread::spawn(move || child.wait_with_output().unwrap());
    for number in 0..LINES / 2 {
        if number == KILL_AT / 2 {
            cluster.kill9(victim);
        }
        writeln!(input, "ca u{number}@example.com '' displayName 'new {number}'").unwrap();
        writeln!(
            input,
            "ma u{number}@example.com displayName 'changed {number}' +zimbraMailForwardingAddress f{number}@x.test"
        )
        .unwrap();
        // Not all at once: lines are on their way all the time.
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(input);
    let output = reader.join().unwrap();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(!error.contains("ERROR"), "{error}");
    assert!(output.status.success(), "{error}");
    let ids: Vec<&str> = out.lines().collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (LINES / 2, LINES / 2), "an id for each");

    cluster.serve(victim);
    cluster.await_ready(Duration::from_secs(90));
    for node in 1..=3 {
        let data = path(&cluster.node(node).data);
        let listing = Command::new(ZCLUSTER).args(["prov", "--data", data, "gaa", "-v", "-e"]).output().unwrap();
        let listing = text(&listing.stdout);
        let entries: Vec<&str> = listing.split("# name u").skip(1).collect();
        assert_eq!(entries.len(), LINES / 2, "node {node}: nothing lost, nothing doubled");
        for entry in entries {
            let number = entry.split('@').next().unwrap();
            let lines = |start: &str| entry.lines().filter(|l| l.starts_with(start)).collect::<Vec<_>>();
            assert_eq!(lines("displayName:"), [format!("displayName: changed {number}")], "{entry}");
            let forward = format!("zimbraMailForwardingAddress: f{number}@x.test");
            assert_eq!(lines("zimbraMailForwardingAddress:"), [forward], "{entry}");
            let id = lines("zimbraId:")[0].trim_start_matches("zimbraId: ").to_string();
            assert!(ids.contains(&id.as_str()), "the id that was told is the one that is there");
        }
    }
}

/// A domain's administrator, over the network as scripts sign in: in his domain within its bounds, and nowhere else.
#[test]
fn a_delegated_administrator_has_his_domain() {
    const BOSS: &str = "boss@own.example";
    const SECRET: &str = "boss secret";
    let cluster = Cluster::start(1);
    for line in [
        &["cd", "own.example", "zimbraDomainMaxAccounts", "3"][..],
        &["cd", "other.example"],
        &["ca", BOSS, SECRET, "zimbraIsDelegatedAdminAccount", "TRUE"],
        &["ca", "zoe@other.example", "zoe's secret"],
        &["grr", "domain", "own.example", "usr", BOSS, "domainAdminRights"],
    ] {
        cluster.prov(line);
    }
    let admin = format!("127.0.0.1:{}", cluster.node(1).base + 71);
    let certificate = cluster.node(1).data.join("tls/client.pem");
    let remote = ["-s", &admin, "--ca", path(&certificate)];
    let as_boss = |arguments: &[&str]| {
        zmprov(&cluster, &[&remote[..], &["-a", BOSS, "-p", SECRET], arguments].concat()).output().unwrap()
    };
    let done = |arguments: &[&str]| {
        let output = as_boss(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let refused = |arguments: &[&str], error: &str| {
        let output = as_boss(arguments);
        assert_eq!((text(&output.stderr), output.status.code()), (format!("ERROR: {error}\n"), Some(2)));
    };
    let denied = |arguments: &[&str], why: &str| {
        refused(arguments, &format!("service.PERM_DENIED (permission denied: {why})"));
    };
    done(&["ca", "ann@own.example", "ann's secret", "displayName", "Ann"]);
    refused(
        &["ca", "ben@own.example", "abc"],
        "account.INVALID_PASSWORD (invalid password: too short (zimbraPasswordMinLength=6))",
    );
    done(&["ca", "ben@own.example", "ben's secret"]);
    refused(
        &["ca", "carl@own.example", "carl's secret"],
        "account.TOO_MANY_ACCOUNTS (too many accounts: domain=own.example[3])",
    );
    denied(&["ca", "ann@other.example", "ann's secret"], "need right createAccount on other.example");
    denied(&["ga", "zoe@other.example"], "can not access account zoe@other.example");
    denied(&["ga", "nobody@other.example"], "can not access account nobody@other.example");
    denied(&["sp", "zoe@other.example", "another secret"], "can not access account zoe@other.example");
    denied(
        &["ma", "ann@own.example", "zimbraIsAdminAccount", "TRUE"],
        "zimbraIsAdminAccount is for global administrators",
    );
    denied(&["gacf"], "need right getGlobalConfig on config");
    done(&["sp", "ann@own.example", "ann's new secret"]);
    assert!(Imap::try_login(cluster.port(1, Port::Imap), "ann@own.example", "ann's new secret").is_ok());
    assert!(Imap::try_login(cluster.port(1, Port::Imap), "zoe@other.example", "zoe's secret").is_ok());
    let all = "ann@own.example\nben@own.example\nboss@own.example\n";
    assert_eq!(done(&["gaa"]), all);
    assert!(done(&["ga", "ann@own.example", "displayName"]).contains("displayName: Ann\n"));

    // A script, with the password in a file; what is refused is told with its line.
    let (script, file) = (cluster.folder.join("lines"), cluster.folder.join("boss"));
    fs::write(
        &script,
        "ma ann@own.example displayName 'Ann B.'\nma zoe@other.example displayName Zoe\ngaa own.example\n",
    )
    .unwrap();
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    let signed_in = ["-a", BOSS, "-P", path(&file)];
    let output = zmprov(&cluster, &[&remote[..], &signed_in, &["-f", path(&script)]].concat()).output().unwrap();
    let error = "ERROR: service.PERM_DENIED (permission denied: can not access account zoe@other.example) at line 2\n";
    assert_eq!((text(&output.stderr), output.status.code()), (error.into(), Some(2)));
    assert!(text(&output.stdout).contains(all));

    // With a token, and on the node itself: an account that is named is meant.
    let login = ["auth", "login", "--server", &admin, "--ca", path(&certificate), "--admin", BOSS, "--password-file"];
    let token = crate::support::cluster::run(&[&login[..], &[path(&file)]].concat());
    fs::write(&file, token).unwrap();
    let with_token = zmprov(&cluster, &[&remote[..], &["-Y", path(&file), "gaa"]].concat()).output().unwrap();
    assert_eq!(text(&with_token.stdout), all, "{}", text(&with_token.stderr));
    let here = zmprov(&cluster, &["-a", BOSS, "-p", SECRET, "gaa"]).output().unwrap();
    assert_eq!(text(&here.stdout), all, "{}", text(&here.stderr));
    assert!(!zmprov(&cluster, &["-a", BOSS, "-p", "wrong", "gaa"]).output().unwrap().status.success());
    assert!(
        !zmprov(&cluster, &["-a", "ann@own.example", "-p", "ann's new secret", "gaa"])
            .output()
            .unwrap()
            .status
            .success()
    );
    // What is no directory's is for global administrators.
    let status = ["status", "--server", &admin, "--ca", path(&certificate), "--token-file", path(&file)];
    assert!(crate::support::cluster::run_refused(&status).contains("this is for global administrators"));

    // Each change is in the log, with who made it.
    let id = cluster.prov(&["ga", BOSS, "zimbraId"]);
    let id = id.lines().find_map(|l| l.strip_prefix("zimbraId: ")).unwrap().to_string();
    let log = fs::read_to_string(cluster.folder.join("node1.log")).unwrap();
    let told: Vec<&str> = log.lines().filter(|l| l.contains(&format!("account {id} ({BOSS})"))).collect();
    for (what, on) in [("create", "ann@own.example"), ("modify", "ann@own.example")] {
        assert!(told.iter().any(|l| l.contains(what) && l.contains(on)), "{what} {on}: {told:#?}");
    }
    assert!(!told.iter().any(|l| l.contains("zoe@other.example") || l.contains("secret\"")), "{told:#?}");
}
