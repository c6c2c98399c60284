//! Every format, by files that programs of others made (tests/fixtures/README.md).
#![allow(missing_docs)]

use zcluster_extract::{ExtractError, Extracted, Limits, text};

fn bytes(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Read by its file name alone, as `application/octet-stream`.
fn extract(name: &str) -> Extracted {
    let extracted = text::extract("application/octet-stream", name, &bytes(name), &Limits::default());
    extracted.unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[track_caller]
fn has(name: &str, wanted: &[&str]) -> Extracted {
    let extracted = extract(name);
    for words in wanted {
        assert!(extracted.text.contains(words), "{name} lacks {words:?}: {:?}", extracted.text);
    }
    assert!(!extracted.truncated, "{name}");
    extracted
}

#[track_caller]
fn states(extracted: &Extracted, wanted: &[(&str, &str)]) {
    for (field, value) in wanted {
        let found = extracted.fields.iter().any(|(f, v)| f == field && v.contains(value));
        assert!(found, "no {field} {value:?}: {:?}", extracted.fields);
    }
}

const BUDGET: &[(&str, &str)] = &[("title", "Quarterly Budget"), ("author", "Ágnes Müller")];
const LINES: [&str; 3] = ["The albatross budget for Zürich\n", "Δημοκρατία и договор", "Total 12345 wombats"];

#[test]
fn word() {
    let extracted = has("office.docx", &LINES);
    states(&extracted, BUDGET);
    states(&extracted, &[("keywords", "fiscal")]);
    has(
        "office.docx",
        &[
            "Annual heading\n",
            "splitword",
            "leftcell\nrightcell",
            "Confidential header",
            "Page footer",
            "reviewer remark",
        ],
    );
}

#[test]
fn excel() {
    let wanted = [
        "Inventory\n",
        "wombats 12345 Zürich\n",
        "albatross",
        "Δημοκρατία",
        "Secondsheet",
        "faraway",
        "reviewer remark",
    ];
    states(&has("office.xlsx", &wanted), &[("author", "Ágnes Müller"), ("keywords", "ledger")]);
    has(
        "office.xls",
        &["Inventory\n", "The albatross budget for Zürich 0.5\n", "Δημοκρατία и договор 1.5", "Total 12345 wombats"],
    );
}

#[test]
fn powerpoint() {
    let extracted = has(
        "office.pptx",
        &["Slide number0\n", "Slide number10", "The albatross budget for Zürich", "speaker whispers"],
    );
    let at = |words: &str| extracted.text.find(words).unwrap();
    assert!(at("number2") < at("number10") && at("number10") < at("speaker"));
    states(&extracted, BUDGET);
}

#[test]
fn open_document() {
    states(&has("office.odt", &LINES), BUDGET);
    has("office.odt", &["Annual heading\n", "splitword after"]);
    states(
        &has("office.ods", &["Inventory\n", "The albatross budget for Zürich", "wombats"]),
        &[("keywords", "ledger")],
    );
    states(&has("office.odp", &LINES), BUDGET);
}

#[test]
fn pdf() {
    let wanted = ["The albatross budget for Zürich p1", "naïve café p2", "Total 12345 wombats p2"];
    let statements = [BUDGET, &[("subject", "fiscal"), ("keywords", "ledger")]].concat();
    for name in ["reportlab.pdf", "object-streams.pdf", "owner-password.pdf"] {
        states(&has(name, &wanted), &statements);
    }
    has("cairo.pdf", &["The albatross budget for Zürich", "Δημοκρατία и договор", "Total 12345 wombats"]);
    states(&has("fpdf2.pdf", &["The albatross budget for Zürich", "Δημοκρατία и договор"]), BUDGET);
    has("groff.pdf", &["Quarterly Budget", "albatross budget is a long paragraph that groff", "Total 12345 wombats"]);
    has("ghostscript.pdf", &["The albatross budget", "Total 12345 wombats"]);
}

#[test]
fn what_needs_a_password() {
    for name in ["encrypted.docx", "user-password.pdf"] {
        let locked = text::extract("", name, &bytes(name), &Limits::default());
        assert_eq!(locked, Err(ExtractError::Encrypted), "{name}");
    }
}

#[test]
fn rich_text() {
    has("pyrtf.rtf", &["The albatross budget\n", "Total 12345 wombats\n"]);
    has("enscript.rtf", &["The albatross budget\n", "Total 12345 wombats"]);
}

/// The same documents, written by LibreOffice.
#[test]
fn libreoffice() {
    let wanted =
        [&LINES[..], &["Annual heading\n", "splitword", "leftcell", "rightcell", "Confidential header", "Page footer"]]
            .concat();
    for name in ["libreoffice.doc", "libreoffice.rtf", "libreoffice.pdf", "libreoffice.odt"] {
        let wanted: Vec<&str> = wanted.iter().map(|w| w.trim_end()).collect();
        let extracted = has(name, &wanted);
        states(&extracted, &[("title", "Quarterly Budget")]);
        if name != "libreoffice.pdf" {
            assert!(extracted.text.contains("reviewer remark"), "{name}: {}", extracted.text);
            states(&extracted, BUDGET);
        }
    }
    states(&has("libreoffice.docx", &["The albatross budget for Zürich\n", "splitword after"]), BUDGET);
    has("libreoffice.xlsx", &["Inventory\n", "The albatross budget for Zürich 0.5\n", "Δημοκρατία и договор 1.5"]);
    has("libreoffice.xls", &["Inventory\n", "wombats 12345 Zürich\n", "FORMULA Δημοκρατία", "Secondsheet\nfaraway"]);
}

#[test]
fn texts_and_pages() {
    has("koi8-r.txt", &["Договор о поставке оборудования подписан сегодня утром."]);
    has("utf-16.txt", &["The albatross budget for Zürich"]);
    has("latin1.txt", &["Zürich naïve café"]);
    let page = has("page.html", &["The albatross & Łódź\n", "leftcell rightcell"]);
    assert!(!page.text.contains("secret") && !page.text.contains("red"), "{}", page.text);
    states(&page, &[("title", "Quarterly Budget"), ("author", "Rita")]);
}

#[test]
fn calendars_and_cards() {
    let folded = "second round; with a title that is long enough to be folded over two lines\n";
    has("meeting.ics", &[folded, "Zürich, Bahnhofstrasse 1", "First line\nTotal", "Reviewer, Rita rita@example.org"]);
    has(
        "person.vcf",
        &["Ágnes Müller\n", "agnes@example.org", "Albatross Inc; Wombats Sales", "Met in Zürich,\nlikes wombats"],
    );
}

#[test]
fn archives() {
    let nested = ["inner.zip\nlatin1.txt\nZürich naïve café\noffice.odt\nAnnual heading", "page.html\nQuarterly", "p2"];
    has("archive.zip", &nested);
    has(
        "archive.tar.gz",
        &["koi8-r.txt\nДоговор", "person.vcf\nagnes@example.org\nÁgnes", "office.docx\nAnnual heading"],
    );
    has("archive.tar", &["latin1.txt\nZürich"]);
    has("koi8-r.txt.gz", &["Договор о поставке"]);
    has("seven.zip", &["page.html\n", "person.vcf"]);
    let encrypted = extract("encrypted.zip");
    assert_eq!((encrypted.text.as_str(), encrypted.truncated), ("latin1.txt", true));
}

#[test]
fn the_type_is_found_without_help() {
    for name in [
        "office.docx",
        "office.xls",
        "office.odt",
        "reportlab.pdf",
        "pyrtf.rtf",
        "page.html",
        "meeting.ics",
        "archive.tar.gz",
    ] {
        let named = extract(name);
        let unnamed = text::extract("", "", &bytes(name), &Limits::default());
        assert_eq!(unnamed.as_ref(), Ok(&named), "{name}");
        let wrong = text::extract("application/msword", "x.doc", &bytes(name), &Limits::default());
        if !matches!(name, "page.html" | "meeting.ics") {
            assert_eq!(wrong, Ok(named), "{name}");
        }
    }
    let image = text::extract("image/png", "x.png", b"\x89PNG", &Limits::default());
    assert_eq!(image, Err(ExtractError::Unsupported("image/png".into())));
}

#[test]
fn the_text_is_bounded() {
    for name in [
        "office.docx",
        "office.xlsx",
        "office.xls",
        "office.odt",
        "reportlab.pdf",
        "pyrtf.rtf",
        "page.html",
        "archive.zip",
    ] {
        let limits = Limits { text_bytes: 12, ..Limits::default() };
        let extracted = text::extract("", name, &bytes(name), &limits).unwrap();
        assert!(extracted.truncated && (8..=12).contains(&extracted.text.len()), "{name}: {extracted:?}");
    }
}

#[test]
fn archives_are_entered_as_deep_as_allowed() {
    let limits = Limits { depth: 1, ..Limits::default() };
    let outer = text::extract("", "archive.zip", &bytes("archive.zip"), &limits).unwrap();
    assert!(
        outer.truncated && outer.text.contains("inner.zip") && !outer.text.contains("latin1.txt"),
        "{}",
        outer.text
    );
    assert!(outer.text.contains("page.html\nQuarterly"), "{}", outer.text);
    let limits = Limits { members: 2, ..Limits::default() };
    let few = text::extract("", "archive.zip", &bytes("archive.zip"), &limits).unwrap();
    assert!(few.truncated && few.text.contains("latin1.txt") && !few.text.contains("page.html"), "{}", few.text);
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let limits = Limits { unpacked_bytes: 1000, ..Limits::default() };
    for name in ["office.docx", "office.xlsx", "office.odt", "archive.zip", "archive.tar.gz"] {
        let refused = text::extract("", name, &bytes(name), &limits);
        assert!(matches!(refused, Err(ExtractError::TooLarge(_))), "{name}: {refused:?}");
    }
    let limits = Limits { input_bytes: 1000, ..Limits::default() };
    assert!(matches!(text::extract("", "", &[b'a'; 1001], &limits), Err(ExtractError::TooLarge(_))));
}
