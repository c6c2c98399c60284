//! Prints the text of files, as an index would get it: `cargo run -p zcluster-extract --example extract -- FILE...`
//!
//! It reads in its own process, without a cage: for files that you trust.

use zcluster_extract::{Limits, text};

fn main() -> std::io::Result<()> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        match text::extract("", &path, &bytes, &Limits::default()) {
            Ok(extracted) => {
                println!(
                    "== {path}: {} bytes{}",
                    extracted.text.len(),
                    if extracted.truncated { ", not all" } else { "" }
                );
                extracted.fields.iter().for_each(|(name, value)| println!("{name}: {value}"));
                println!("{}", extracted.text);
            }
            Err(e) => println!("== {path}: {e}"),
        }
    }
    Ok(())
}
