//! Where a project gets the SDK from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The SDK, as cargo is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    /// A clone of Wharf.
    Clone(PathBuf),
    /// Its repository.
    Git(String),
}

impl Sdk {
    /// What was said, or else the clone that this program or the current folder is in.
    pub(super) fn find(said: Option<&str>) -> Result<Self> {
        match said {
            Some(url) if url.contains("://") || url.starts_with("git@") => Ok(Self::Git(url.to_owned())),
            Some(path) => {
                let clone = fs::canonicalize(path).with_context(|| format!("--sdk: cannot find {path}"))?;
                if !is_clone(&clone) {
                    bail!("--sdk: {} is no clone of Wharf: it has no sdk/rust/Cargo.toml", clone.display());
                }
                Ok(Self::Clone(clone))
            }
            None => {
                let places = [std::env::current_dir().ok(), std::env::current_exe().ok()];
                let clone = places.iter().flatten().find_map(|place| clone_around(place));
                clone.map(Self::Clone).context(
                    "the SDK is not on crates.io yet, and neither this program nor the current folder is in a clone of \
                     Wharf: say --sdk with a clone's folder, or with the URL of the git repository",
                )
            }
        }
    }

    /// A dependency on one of its crates.
    pub(super) fn dependency(&self, folder: &str) -> String {
        match self {
            // A TOML literal string: nothing in it is special.
            Self::Clone(clone) => format!("{{ path = '{}' }}", clone.join("sdk").join(folder).display()),
            Self::Git(url) => format!("{{ git = '{url}' }}"),
        }
    }

    /// The versions of everything else that it was tested with, where they are known.
    pub(super) fn lock(&self) -> Option<String> {
        match self {
            Self::Clone(clone) => fs::read_to_string(clone.join("Cargo.lock")).ok(),
            Self::Git(_) => None,
        }
    }
}

fn clone_around(place: &Path) -> Option<PathBuf> {
    place.ancestors().find(|folder| is_clone(folder)).map(Path::to_owned)
}

fn is_clone(folder: &Path) -> bool {
    folder.join("sdk/rust/Cargo.toml").is_file() && folder.join("sdk/testkit/Cargo.toml").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_found_from_within() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let clone = clone_around(&here.join("src/new")).unwrap();
        assert_eq!(clone, here.parent().and_then(Path::parent).unwrap());
        assert_eq!(clone_around(Path::new("/")), None);
    }

    #[test]
    fn what_is_said_is_checked() {
        assert_eq!(
            Sdk::find(Some("https://x.test/wharf.git")).unwrap(),
            Sdk::Git("https://x.test/wharf.git".into())
        );
        let error = Sdk::find(Some("/")).unwrap_err();
        assert!(error.to_string().contains("no clone of Wharf"), "{error}");
        let error = Sdk::find(Some("/nowhere/at/all")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    }
}
