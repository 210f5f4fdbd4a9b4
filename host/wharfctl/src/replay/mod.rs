//! `wharfctl replay`: the guests of a recording run again, in their real sandboxes, and the recording answers what they ask.

mod conversation;
mod divergence;
mod guests;
mod outcome;
mod script;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Serialize;
use wharf_broker::Paths;

use crate::record::{Call, Recording};
use crate::say;
use divergence::Divergence;
use guests::Guests;
use script::Mode;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// What `wharfctl record` wrote.
    file: PathBuf,
    /// Run this component as the guest of that name. [default: the installed guest, else NAME.wasm in the folder of guests
    /// that came with this program]
    #[arg(long, value_name = "NAME=FILE.wasm", value_parser = guest)]
    guest: Vec<(String, PathBuf)>,
    /// Hold the guests only to what they change: reads may be repeated, left out, and come in another order; log lines and
    /// the texts of errors do not count.
    #[arg(long)]
    lenient: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn guest(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.to_owned(), file.into())),
        _ => Err("give the guest's name, an equals sign, and the component's file, e.g. bridge=new.wasm"
            .to_owned()),
    }
}

/// What came of one call.
#[derive(Debug, Serialize)]
struct Replayed {
    /// Its number in the recording, from 1.
    call: usize,
    guest: String,
    command: &'static str,
    /// Of the component that ran.
    digest: String,
    /// Of the one that was recorded.
    recorded_digest: String,
    /// How many it asked for.
    operations: usize,
    milliseconds: u128,
    /// The first difference, if there is one.
    divergence: Option<Divergence>,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let recording = Recording::read(&options.file)?;
    let guests = Guests::collect(paths, &options.guest, &recording)?;
    let mode = if options.lenient { Mode::Lenient } else { Mode::Strict };
    let mut all = Vec::with_capacity(recording.calls.len());
    for (index, call) in recording.calls.iter().enumerate() {
        let played = conversation::play(&guests, call, recording.log_level, mode)?;
        all.push(Replayed {
            call: index + 1,
            guest: call.guest.clone(),
            command: call.command(),
            digest: played.digest,
            recorded_digest: call.digest.clone(),
            operations: played.operations,
            milliseconds: played.time.as_millis(),
            divergence: played.divergence,
        });
    }
    let text = if options.json {
        serde_json::to_string_pretty(&all)? + "\n"
    } else {
        as_text(&options.file, &recording, &all)
    };
    say::text(&text)?;
    match all.iter().filter(|one| one.divergence.is_some()).count() {
        0 => Ok(()),
        count => bail!("{count} of {} calls diverge from the recording", all.len()),
    }
}

fn as_text(file: &Path, recording: &Recording, all: &[Replayed]) -> String {
    let mut text = String::new();
    for (one, recorded) in all.iter().zip(&recording.calls) {
        line(&mut text, one, recorded);
    }
    if all.is_empty() {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(text, "{}: no guest was called", file.display());
    }
    for request in recording.requests.iter().filter(|request| !request.succeeded) {
        let said = request.printed.get("msg").and_then(|message| message.as_str()).unwrap_or_default();
        let _ = writeln!(text, "recorded: the {} of {} failed: {said}", request.command, request.plugin);
    }
    text
}

fn line(text: &mut String, one: &Replayed, recorded: &Call) {
    let verdict = if one.divergence.is_none() { "ok      " } else { "DIVERGES" };
    let _ = writeln!(
        text,
        "{verdict} {:>2} {:<12} {:<6} {:>4} operations, {}, {} ms",
        one.call, one.guest, one.command, one.operations, recorded.outcome, one.milliseconds
    );
    if one.digest != one.recorded_digest {
        let _ =
            writeln!(text, "    another guest: {} runs, {} was recorded", one.digest, one.recorded_digest);
    }
    let Some(divergence) = &one.divergence else { return };
    let _ = writeln!(text, "    {}", divergence.message);
    for shown in divergence.diff.iter().flat_map(|diff| diff.lines()) {
        let _ = writeln!(text, "    {shown}");
    }
    if let Some(then) = &divergence.then {
        let _ = writeln!(text, "    the call then came to this end: {then}");
    }
}
