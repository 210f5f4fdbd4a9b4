//! CNI_ARGS, as guests get them.

use wharf_cni::{CniError, Command, Env, args};

use crate::log::{Level, Log};

/// The pairs. A piece that is none fails the call where policies judge by them. Elsewhere a guest that makes an
/// attachment gets it as a pair without a key, which the SDK refuses when a guest asks for its arguments: most never do.
/// What takes away goes on without it.
pub(super) fn of(env: &Env, judged: bool, log: Log) -> Result<Vec<(String, String)>, CniError> {
    let mut pairs = Vec::new();
    for segment in args::segments(&env.args) {
        match (segment, env.command) {
            (Ok(pair), _) => pairs.push(pair),
            (Err(piece), _) if judged => return Err(args::invalid_pair(piece).into()),
            (Err(piece), Command::Add | Command::Check) => pairs.push((String::new(), piece.to_owned())),
            (Err(piece), Command::Del | Command::Gc | Command::Status | Command::Version) => {
                let message = format!("goes on without a piece of CNI_ARGS: {}", args::invalid_pair(piece));
                log.line(Level::Warn, env.command.as_str(), &message, &[]);
            }
        }
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(command: &str, judged: bool, text: &str) -> Result<Vec<(String, String)>, CniError> {
        let get = |key: &str| match key {
            "CNI_COMMAND" => Some(command.to_owned()),
            "CNI_CONTAINERID" => Some("c".to_owned()),
            "CNI_NETNS" => Some("/run/netns/c".to_owned()),
            "CNI_IFNAME" => Some("eth0".to_owned()),
            "CNI_ARGS" => Some(text.to_owned()),
            _ => None,
        };
        of(&Env::parse(get).unwrap(), judged, Log::OFF)
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_no_pair_is_the_business_of_who_asks() {
        const TEXT: &str = "IgnoreUnknown=1;;A=b=c;K=v";
        for command in ["ADD", "CHECK"] {
            let all = pairs(&[("IgnoreUnknown", "1"), ("", ""), ("", "A=b=c"), ("K", "v")]);
            assert_eq!(read(command, false, TEXT), Ok(all), "{command}");
        }
        assert_eq!(read("DEL", false, TEXT), Ok(pairs(&[("IgnoreUnknown", "1"), ("K", "v")])));
        let error = read("ADD", true, TEXT).unwrap_err();
        assert!(error.code == 4 && error.msg.contains("invalid pair \"\""), "{error}");
        assert_eq!(read("ADD", true, "K=v"), Ok(pairs(&[("K", "v")])));
    }
}
