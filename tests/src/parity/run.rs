//! Plays cases on both sides and judges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::case::{Case, Difference, FullStep, Step};
use super::compare::{Expected, compare};
use super::file::Need;
use super::names::Names;
use super::picture::{self, Parameters, Picture};
use super::program::Answer;
use super::{File, Side, Stage, common, probe};
use crate::{Netns, install};

/// Who is compared with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The reference with Wharf.
    Parity,
    /// The reference with itself, so that nothing is expected that it does not do.
    Reference,
}

impl Mode {
    /// What `WHARF_PARITY` says.
    pub fn from_env() -> Self {
        match std::env::var("WHARF_PARITY").as_deref() {
            Err(_) | Ok("") => Self::Parity,
            Ok("reference") => Self::Reference,
            Ok(other) => panic!("WHARF_PARITY is {other:?}: leave it out, or set it to \"reference\""),
        }
    }

    fn sides(self) -> [Side; 2] {
        match self {
            Self::Parity => [Side::Reference, Side::Ours],
            Self::Reference => [Side::Reference; 2],
        }
    }
}

/// What came of a file.
#[derive(Clone, Debug, Default)]
pub struct Played {
    /// How many cases were compared.
    pub cases: usize,
    /// What is wrong, a paragraph for each case.
    pub failures: Vec<String>,
    /// Cases that could not be played here, with the reason.
    pub skipped: Vec<String>,
    /// The longest case.
    pub longest: (Duration, String),
}

/// Plays the cases of a file. The error says why none of them can be played here.
pub fn play_file(path: &Path, mode: Mode) -> Result<Played, String> {
    install::reference()?;
    let file = File::read(path);
    if let Some(need) = file.needs {
        has(need)?;
    }
    let release = install::reference_release();
    let common = common();
    let mut played = Played::default();
    let mut occurred = BTreeSet::new();
    // For who writes a case: only those whose names contain this, and what their traffic and calls came to.
    let filter = std::env::var("WHARF_PARITY_CASE").unwrap_or_default();
    for case in file.cases.iter().filter(|case| case.name.contains(&filter)) {
        if let Some(since) = case.since.as_deref().or(implied_release(case))
            && release < parse_release(since)
        {
            played.skipped.push(format!("{}: the reference knows it since {since}", case.name));
            continue;
        }
        let began = Instant::now();
        let of_case = case.differs.iter().chain(shown(case, &common));
        let (of_case, of_file) = (paths(of_case), paths(file.differs.iter()));
        let everywhere = paths(common.iter().filter(|one| one.everywhere));
        let expected = [&of_case[..], &of_file, &everywhere].concat();
        let (complaints, seen) = play(case, mode, &expected, of_case.len());
        // Those of the file, of which each must occur in some case.
        occurred.extend(seen.into_iter().filter_map(|index| index.checked_sub(of_case.len())));
        played.cases += 1;
        played.longest = played.longest.max((began.elapsed(), case.name.clone()));
        if !complaints.is_empty() {
            played.failures.push(format!("{}\n  {}", case.name, complaints.join("\n  ")));
        }
    }
    if mode == Mode::Parity && filter.is_empty() && played.skipped.is_empty() {
        let of_file = paths(file.differs.iter());
        let left = of_file.iter().enumerate().filter(|(index, _)| !occurred.contains(index));
        let absent = |one: &Expected<'_>| format!("no case differs at {:?}: {}", one.at, one.difference.why);
        played.failures.extend(left.map(|(_, one)| absent(one)));
    }
    Ok(played)
}

/// The common differences that a case shows.
fn shown<'a>(case: &Case, common: &'a [Difference]) -> Vec<&'a Difference> {
    let find = |name: &String| {
        let found = common.iter().find(|one| one.name.as_ref() == Some(name));
        found.unwrap_or_else(|| panic!("{}: differs.json has no {name:?}", case.name))
    };
    case.shows.iter().map(find).collect()
}

fn paths<'a>(differences: impl IntoIterator<Item = &'a Difference>) -> Vec<Expected<'a>> {
    let each = |difference: &'a Difference| difference.at.iter().map(move |at| Expected { at, difference });
    differences.into_iter().flat_map(each).collect()
}

/// Complaints about one case, and which of the expectations came true. The first `required` ones must.
fn play(
    case: &Case,
    mode: Mode,
    expected: &[Expected<'_>],
    required: usize,
) -> (Vec<String>, BTreeSet<usize>) {
    let mut complaints = Vec::new();
    let seen = mode.sides().map(|side| {
        let mut player = Player::new(case, side);
        player.all();
        complaints.extend(player.complaints);
        player.seen
    });
    let [reference, ours] = seen;
    if std::env::var_os("WHARF_PARITY_CASE").is_some() {
        for (path, theirs) in &reference {
            if path.starts_with("traffic ") || path.starts_with("count ") || path.ends_with(" answer") {
                println!("{}: {path}: {theirs}, {}", case.name, ours.get(path).unwrap_or(&Value::Null));
            }
        }
    }
    if mode == Mode::Reference {
        let by_chance: Vec<_> = expected.iter().filter(|one| one.difference.by_chance).copied().collect();
        complaints.extend(compare(&reference, &ours, &by_chance).complaints);
        return (complaints, BTreeSet::new());
    }
    let verdict = compare(&reference, &ours, expected);
    complaints.extend(verdict.complaints);
    for (index, Expected { at, difference }) in expected.iter().enumerate().take(required) {
        if !difference.by_chance && !verdict.occurred.contains(&index) {
            complaints.push(format!("the sides do not differ at {at:?}: {}", difference.why));
        }
    }
    (complaints, verdict.occurred)
}

/// A case on one side.
struct Player<'c> {
    case: &'c Case,
    stage: Stage,
    seen: Picture,
    labels: BTreeMap<String, usize>,
    /// Whether anything was looked at.
    has_looked: bool,
    complaints: Vec<String>,
}

impl<'c> Player<'c> {
    fn new(case: &'c Case, side: Side) -> Self {
        let stage = Stage::set(case, side);
        let (seen, labels, complaints) = (Picture::new(), BTreeMap::new(), Vec::new());
        Self { case, stage, seen, labels, has_looked: false, complaints }
    }

    fn all(&mut self) {
        for step in &self.case.steps {
            match step {
                Step::Plain(line) => self.command(line, &FullStep::default()),
                Step::Full(step) => self.full(step),
            }
        }
    }

    fn full(&mut self, step: &FullStep) {
        let on = step.on.as_deref().unwrap_or("node");
        if let Some(line) = &step.command {
            self.command(line, step);
        }
        for plugin in step.call.iter().flat_map(|call| &call.plugin) {
            let Some(call) = &step.call else { continue };
            let answer = self.stage.call(plugin, &call.env, &call.stdin);
            let command = call.env.get("CNI_COMMAND").map_or("", String::as_str);
            let label = self.label(format!("{plugin} {command}").trim_end());
            self.answer(&label, &answer, step);
            if answer.is_ok() {
                let names = picture::names(&self.stage);
                self.result(&label, answer.json(), &names);
            }
        }
        for line in &step.run {
            let line = self.stage.named(line);
            self.stage.netns(on).sh(&line);
        }
        for line in &step.traffic {
            let from = line.split_whitespace().next().unwrap_or_default();
            let label = self.label(&format!("traffic {line}"));
            let answer = probe::probe(self.stage.netns(from), line);
            self.seen.insert(label, answer.into());
        }
        if let Some(line) = &step.count {
            let label = self.label(&format!("count {line}"));
            let count = self.stage.count(on, line);
            self.seen.insert(label, count.into());
        }
    }

    /// `add`, `check d`, `vanish c`.
    fn command(&mut self, line: &str, step: &FullStep) {
        let (command, name) = line.split_once(' ').unwrap_or((line, "c"));
        if command == "vanish" {
            let gone = self.stage.containers.remove(name).unwrap_or_else(|| panic!("no container {name:?}"));
            let left = self.stage.links_without(&gone);
            gone.vanish();
            self.stage.node.wait_for_links(left);
            return;
        }
        if command == "look" {
            let label = self.label(line);
            return self.look(&label, None);
        }
        let label = self.label(line);
        let (program, answer) = self.stage.command(self.case, command, name, step);
        if !answer.is_ok() {
            self.seen.insert(format!("{label} stopped at"), program.into());
        }
        self.answer(&label, &answer, step);
        // CHECK changes nothing: its own tests see to that.
        if command != "check" {
            self.look(&label, answer.json().filter(|_| answer.is_ok()));
        }
    }

    /// How it ended, and whether that is how it should.
    fn answer(&mut self, label: &str, answer: &Answer, step: &FullStep) {
        self.seen.insert(format!("{label} answer"), answer.kind.clone().into());
        self.seen.insert(format!("{label} objects"), answer.printed.len().into());
        let side = self.stage.side;
        let wanted = step.fails.as_ref().and_then(|fails| fails.of(side == Side::Reference));
        let mut complain = |what: String| {
            let shown = answer.json().map(ToString::to_string).unwrap_or_default();
            self.complaints.push(format!(
                "{label}, {side:?}: {what}: {} {shown} {}",
                answer.kind,
                answer.said.trim()
            ));
        };
        let Some(wanted) = wanted else {
            if !answer.is_ok() {
                complain("it should succeed".to_owned());
            }
            return;
        };
        if answer.is_ok() {
            complain("it should fail".to_owned());
        }
        if answer.code() != wanted.code {
            complain(format!("the code should be {:?}", wanted.code));
        }
        let said = if wanted.code.is_some() { answer.message() } else { answer.said.clone() };
        for text in wanted.says.iter().filter(|text| !said.contains(*text)) {
            complain(format!("it does not say {text:?}"));
        }
    }

    /// What is there now, and the result in the same words. The first time, all of it: later, nothing sets a parameter that
    /// the first ADD did not.
    fn look(&mut self, label: &str, result: Option<&Value>) {
        let parameters = if self.has_looked { Parameters::Touched } else { Parameters::Every };
        self.has_looked = true;
        let (picture, names) = picture::of(&self.stage, parameters);
        self.seen.extend(picture.into_iter().map(|(path, value)| (format!("{label} {path}"), value)));
        self.result(label, result, &names);
    }

    fn result(&mut self, label: &str, result: Option<&Value>, names: &Names) {
        if let Some(result) = result {
            self.seen.insert(format!("{label} result"), true.into());
            self.seen.extend(names.result(&format!("{label} result"), result));
        }
    }

    /// A name for what is done, with a number from the second time on.
    fn label(&mut self, what: &str) -> String {
        let times = self.labels.entry(what.to_owned()).or_insert(0);
        *times += 1;
        let mut label = what.to_owned();
        if *times > 1 {
            let _ = write!(label, " ({times})");
        }
        label
    }
}

/// The error says what this kernel lacks.
fn has(need: Need) -> Result<(), String> {
    match need {
        Need::VlanFiltering => {
            let path = install::workplace().join("vlan-filtering");
            let netns = Netns::create(&path);
            let made = netns.try_sh("ip link add br0 type bridge vlan_filtering 1");
            let filters =
                netns.link("br0").is_some_and(|br0| br0["linkinfo"]["info_data"]["vlan_filtering"] == 1);
            if made.status.success() && filters {
                Ok(())
            } else {
                Err("this kernel's bridges do not filter by VLAN".to_owned())
            }
        }
    }
}

/// nftables came with 1.7.
fn implied_release(case: &Case) -> Option<&'static str> {
    let nftables = |plugin: &Value| plugin["backend"] == "nftables" || plugin["ipMasqBackend"] == "nftables";
    case.all_plugins().any(nftables).then_some("1.7")
}

fn parse_release(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|part| part.parse().expect("a release is like 1.7"));
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}
