//! A page's fenced blocks: which are commands, which are what they print, and which do not run here.

use std::path::{Path, PathBuf};

/// A Markdown file and what in it is to be tried.
#[derive(Debug)]
pub struct Page {
    /// Relative to the repository.
    pub name: String,
    /// In the order of the page.
    pub blocks: Vec<Block>,
}

/// Commands, with what the page shows of their output.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// Of the fence, from 1.
    pub line: usize,
    /// The commands.
    pub text: String,
    /// What the next block says that they print.
    pub output: Option<String>,
    /// What it wants.
    pub needs: Option<Needs>,
    /// Its last command is to fail: the page shows how that looks.
    pub fails: bool,
}

/// What commands want beside what every page has.
#[derive(Debug, PartialEq, Eq)]
pub enum Needs {
    /// What is never here, in words: they are not run.
    Words(String),
    /// A file of the clone that was built or not: they are run where it is.
    File(String),
}

impl Needs {
    /// Of a mark's value: a path has a slash, words have hyphens between them.
    fn parse(value: &str) -> Self {
        if value.contains('/') { Self::File(value.to_owned()) } else { Self::Words(value.replace('-', " ")) }
    }

    /// What of it this clone lacks.
    pub fn missing(&self, clone: &Path) -> Option<&str> {
        match self {
            Self::File(file) => Some(file.as_str()).filter(|file| !clone.join(file).exists()),
            Self::Words(words) => Some(words),
        }
    }
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// Every page whose commands are tried, sorted: `README.md`, `CONTRIBUTING.md`, those of the languages in `sdk/`, and all
/// below `docs/` and `deploy/`.
pub fn all() -> Vec<String> {
    let root = root();
    let mut found = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    // Not what is below: a reader's packages bring pages of their own.
    for entry in std::fs::read_dir(root.join("sdk")).expect("list sdk/") {
        let page = format!("sdk/{}/README.md", entry.expect("an entry").file_name().display());
        found.extend(Some(page).filter(|page| root.join(page).is_file()));
    }
    let mut folders = vec![root.join("docs"), root.join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(&root).expect("below it").display().to_string());
            }
        }
    }
    found.sort();
    found
}

impl Page {
    /// Reads the page of that name in the repository.
    pub fn read(name: &str) -> Self {
        let text =
            std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::parse(name, &text)
    }

    /// Of a page's text. A block marked as `sh` is commands. One marked as `text`, `console` or `json` with `output` behind
    /// it is what the commands before it print.
    pub fn parse(name: &str, text: &str) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some(info) = line.trim_start().strip_prefix("```") else { continue };
            let indent = line.len() - line.trim_start().len();
            let content: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| line.trim() != "```")
                .map(|line| line.get(indent..).unwrap_or_else(|| line.trim_start()))
                .collect();
            let content = content.join("\n") + "\n";
            let mut words = info.split(',');
            match (words.next().unwrap_or_default().trim(), words.next()) {
                ("sh", mark) => {
                    let (mut needs, mut fails) = (None, false);
                    match mark.map(|mark| mark.split_once('=').unwrap_or((mark, ""))) {
                        None => {}
                        Some(("fails", "")) => fails = true,
                        Some(("needs", value)) if !value.is_empty() => needs = Some(Needs::parse(value)),
                        Some((other, _)) => {
                            panic!(
                                "{name}:{}: commands are marked needs=REASON, needs=FILE or fails, not {other:?}",
                                number + 1
                            )
                        }
                    }
                    blocks.push(Block { line: number + 1, text: content, output: None, needs, fails });
                }
                (_, Some("output")) => {
                    let before = blocks.last_mut().filter(|before| before.output.is_none());
                    let before =
                        before.unwrap_or_else(|| panic!("{name}:{}: output of which commands?", number + 1));
                    before.output = Some(content);
                }
                ("bash" | "shell" | "console", _) => {
                    panic!("{name}:{}: commands stand in a block that is marked as `sh`", number + 1)
                }
                _ => {}
            }
        }
        Self { name: name.to_owned(), blocks }
    }
}

/// Whether `printed` is what `shown` says: line for line, where `...` in a line is any text, and a line of nothing but `...`
/// any lines.
pub fn is_as_shown(shown: &str, printed: &str) -> bool {
    let shown: Vec<&str> = shown.trim_end().lines().map(str::trim_end).collect();
    let printed: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
    lines_match(&shown, &printed)
}

fn lines_match(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=printed.len()).any(|skip| lines_match(rest, &printed[skip..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line_matches(first, line) && lines_match(rest, others)),
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let Some((before, after)) = shown.split_once("...") else { return shown == printed };
    printed.strip_prefix(before).is_some_and(|rest| {
        rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| line_matches(after, &rest[at..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_what_they_print_are_found() {
        let text = "# x\n```sh\na\nb\n```\ntext\n```text,output\nc\n```\n```sh,needs=a-cluster\nd\n```\n```toml\ne\n```\n```sh,fails\nf\n```\n";
        let page = Page::parse("x.md", text);
        let block = |line, text: &str, output: Option<&str>, needs: Option<&str>| Block {
            line,
            text: text.into(),
            output: output.map(Into::into),
            needs: needs.map(|words| Needs::Words(words.into())),
            fails: text == "f\n",
        };
        let first = block(2, "a\nb\n", Some("c\n"), None);
        let others = [block(10, "d\n", None, Some("a cluster")), block(16, "f\n", None, None)];
        assert_eq!((&page.blocks[0], &page.blocks[1..]), (&first, &others[..]));
    }

    #[test]
    fn commands_that_need_a_file_are_run_where_it_is() {
        let page = Page::parse("x.md", "```sh,needs=a-b/Cargo.toml\na\n```\n");
        let needs = page.blocks[0].needs.as_ref().unwrap();
        assert_eq!(needs, &Needs::File("a-b/Cargo.toml".into()));
        assert_eq!(needs.missing(&root()), Some("a-b/Cargo.toml"));
        assert_eq!(Needs::File("tests/Cargo.toml".into()).missing(&root()), None);
        assert_eq!(Needs::Words("a cluster".into()).missing(&root()), Some("a cluster"));
    }

    #[test]
    fn the_pages_of_the_languages_are_among_all() {
        let all = all();
        for language in ["c", "javascript", "python"] {
            assert!(all.contains(&format!("sdk/{language}/README.md")), "{all:?}");
        }
    }

    #[test]
    fn what_varies_is_left_out() {
        assert!(is_as_shown("a ... b\n...\nz\n", "a 1 b\n\nx\ny\nz\n"));
        assert!(is_as_shown("took ... ms", "took  ms\n"));
        assert!(!is_as_shown("a\n...\nz", "a\nx"));
        assert!(!is_as_shown("a", "a\nb"));
        assert!(!is_as_shown("a ...", "b"));
    }
}
