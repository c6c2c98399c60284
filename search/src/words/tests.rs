use super::*;
use proptest::prelude::*;

/// `word@position`, signs of the kind in front: `+` signed, `=` address, `&` domain, `'` pair, `.` last, `,` alone.
fn shown(text: &str) -> String {
    let mut out = Vec::new();
    take_apart(text, &mut |t| {
        let sign = match t.kind {
            Kind::Word => "",
            Kind::Signed => "+",
            Kind::Pair => "'",
            Kind::Last => ".",
            Kind::Lone => ",",
            Kind::Address => "=",
            Kind::Domain => "&",
        };
        out.push(format!("{sign}{}@{}", t.word, t.position));
    });
    out.join(" ")
}

#[test]
fn languages() {
    for (text, want) in [
        ("Hello, WORLD!", "hello@0 world@1"),
        ("", ""),
        ("... -- !?", ""),
        ("Straße GROẞ fließt", "strasse@0 gross@1 fliesst@2"),
        ("Übermäßig", "ubermassig@0"),
        ("café cafe\u{301}", "cafe@0 cafe@1"),
        ("Đường phố Hà Nội", "duong@0 pho@1 ha@2 noi@3"),
        ("IĞDIR ığdır İstanbul", "igdir@0 igdir@1 istanbul@2"),
        ("Smørrebrød Łódź œuvre ﬁnal ＡＢＣ１", "smorrebrod@0 lodz@1 oeuvre@2 final@3 abc1@4"),
        ("Ёлка ёлка й", "елка@0 елка@1 и@2"),
        ("ΟΔΥΣΣΕΎΣ Οδυσσεύς", "οδυσσευσ@0 οδυσσευσ@1"),
        ("שָׁלוֹם עולם", "שלום@0 עולם@1"),
        ("السَّلامُ عليكم ٣٤", "السلام@0 عليكم@1 34@2"),
        ("कम्प्यूटर", "कम्प्यूटर@0"),
        ("l'amour don’t", "l@0 amour@1 don@2 t@3"),
        ("co\u{ad}operate", "cooperate@0"),
        ("日本語", "'日本@0 '本語@1 .語@2"),
        ("日", ",日@0"),
        ("2031年です x", "2031@0 '年で@1 'です@2 .す@3 x@4"),
        ("ｶﾞﾝ ガン", "'ガン@0 .ン@1 'ガン@2 .ン@3"),
        ("서울시", "'서울@0 '울시@1 .시@2"),
        ("\u{1109}\u{1165}\u{110b}\u{116e}\u{11af}", "'서울@0 .울@1"),
        ("中文，English混合", "'中文@0 .文@1 english@2 '混合@3 .合@4"),
        ("ไทย", "'ไท@0 'ทย@1 .ย@2"),
        ("ລາວ", "'ລາ@0 'າວ@1 .ວ@2"),
        ("ខ្មែរ", "'ខ្@0 '្ម@1 'មែ@2 'ែរ@3 .រ@4"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn compounds() {
    for (text, want) in [
        ("1.234,56 3-4", "1@0 234@1 56@2 3@3 4@4"),
        ("c++, C# a+b 1+1 x ++ #5", "c@0 +c++@0 c@1 +c#@1 a@2 b@3 1@4 1@5 x@6 5@7"),
        ("Disney+ c+++", "disney@0 +disney+@0 c@1"),
        ("www.Example.com/Path?q=1", "www@0 example@1 com@2 path@3 q@4 1@5"),
        (
            "<Jane.Doe+x@Mail.Example.COM>, next",
            "=jane.doe+x@mail.example.com@0 jane@0 doe@1 x@2 &@mail.example.com@3 mail@3 example@4 com@5 next@6",
        ),
        ("@example.com.", "&@example.com@0 example@0 com@1"),
        ("a@b@c", "=a@b@0 a@0 &@b@1 b@1 &@c@2 c@2"),
        ("@ a @ b@", "a@0 b@1"),
        ("mailto:j@x.org=3", "mailto@0 =j@x.org@1 j@1 &@x.org@2 x@2 org@3 3@4"),
        ("jürgen@bücher.example", "=jurgen@bucher.example@0 jurgen@0 &@bucher.example@1 bucher@1 example@2"),
        ("...@x", "&@x@0 x@0"),
        ("a@-b", "a@0 b@1"),
        ("foo_bar snake_case", "foo@0 bar@1 snake@2 case@3"),
    ] {
        assert_eq!(shown(text), want, "{text}");
    }
}

#[test]
fn long_words_are_cut() {
    let mut words = Vec::new();
    take_apart(&format!("{}ü {}@x", "é".repeat(90), "a".repeat(65)), &mut |t| words.push(t.word.len()));
    assert_eq!(words, [64, 64, 2, 1], "a local part of 65 bytes is none");
    assert_eq!(whole(" <Ab@C> "), "ab@c");
}

proptest! {
    #[test]
    fn holds_together(text in "[aZß1日本가ก้ \\-.,@+#'<>\u{301}\u{200d}\u{fb01}\u{3099}ｶﾞ]{0,60}") {
        let mut last = 0;
        let mut tokens = Vec::new();
        take_apart(&text, &mut |t| tokens.push((t.word.to_owned(), t.kind, t.position, t.bytes)));
        for (word, kind, position, bytes) in &tokens {
            prop_assert!(*position == last || *position == last + 1, "{tokens:?}");
            last = *position;
            prop_assert!(text.get(bytes.clone()).is_some_and(|t| !t.is_empty()));
            prop_assert!(!word.is_empty() && word.chars().all(|c| c > ' '));
            // Folding what was folded changes nothing.
            let mut again = String::new();
            fold::fold(word, true, &mut again);
            prop_assert!(again == *word || !matches!(kind, Kind::Word | Kind::Address | Kind::Domain), "{word} {again}");
        }
    }
    #[test]
    fn any_text(text in "\\PC{0,40}") {
        take_apart(&text, &mut |t| assert!(!t.word.is_empty()));
    }
    /// Words do not depend on what stands around them.
    #[test]
    fn between_spaces(a in "[a-zß日本.@+#é]{0,8}", b in "[a-zß日本.@+#é]{0,8}") {
        let words = |text: &str| { let mut out = Vec::new(); take_apart(text, &mut |t| out.push(t.word.to_owned())); out };
        prop_assert_eq!(words(&format!("{a} {b}")), [words(&a), words(&b)].concat());
    }
}
