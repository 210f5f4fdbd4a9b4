//! Before anything runs: policies are started, and the mutating ones change configurations.

use std::borrow::Cow;

use serde_json::Value;
use wharf_cni::CniError;
use wharf_ops::policy::{Question, Subject, Verdict};

use super::judge::Judge;
use super::{Asked, Policies, patch};
use crate::journal::{ConfigChange, Record};
use crate::launch::Launcher;
use crate::pipeline::Course;
use crate::run::{Stage, attachment};
use crate::session::Invocation;
use crate::signals::Signals;

impl<'a> Policies<'a> {
    /// Names the policies of an ADD and lets the mutating ones change the configurations of its stages. None of them
    /// changes anything where one of them objects.
    pub(crate) fn begin<L: Launcher>(
        invocation: &mut Invocation<'a, L>,
        named: &'a [String],
        subject: Option<Subject>,
        stages: &mut [Stage],
    ) -> Result<(), CniError> {
        let Some(subject) = subject else { return Ok(()) };
        let mut subject = Subject {
            attachment: invocation.attachment.clone(),
            netns_path: invocation.netns_path.clone(),
            plugins: stages.iter().map(|stage| stage.guest.clone()).collect(),
            chain: stages.iter().any(Stage::is_chained),
            ..subject
        };
        let broker = invocation.broker;
        for name in named {
            subject.settings = broker.policies.settings(name);
            let judge = Judge::new(invocation, name, &subject)?;
            if let Course::Add(running) = &mut invocation.course {
                running.policy(name, judge.digest()).map_err(|error| attachment::unwritten(&error))?;
            }
            invocation.policies.judges.push(judge);
        }
        for (position, stage) in stages.iter_mut().enumerate() {
            let changes = invocation.policies.admit(position, stage, &broker.signals)?;
            if let Course::Add(running) = &mut invocation.course {
                for change in changes {
                    running.changed(change).map_err(|error| attachment::unwritten(&error))?;
                }
            }
        }
        Ok(())
    }

    fn admit(
        &mut self,
        position: usize,
        stage: &mut Stage,
        signals: &Signals,
    ) -> Result<Vec<ConfigChange>, CniError> {
        let mut changes = Vec::new();
        for judge in self.judges.iter_mut().filter(|judge| !judge.reviews()) {
            let what = format!("the configuration of {}", stage.guest);
            let config = stage.conf.guest_config();
            let question =
                Question::Admit { plugin: Cow::Borrowed(&stage.guest), config: Cow::Borrowed(&config) };
            let asked = Asked::new(&question, what.clone())?;
            let text = match judge.ask(&asked, None, signals)? {
                Verdict::Allow => continue,
                Verdict::Deny(reason) => return Err(judge.denied(&what, &reason)),
                Verdict::Change(text) => text,
            };
            let patch = patch::parse(&text).map_err(|reason| judge.failed(&what, &reason))?;
            if patch.is_empty() {
                continue;
            }
            patch::apply(&mut stage.conf.raw, &patch);
            crate::secrets::learn(&stage.conf.raw);
            changes.push(ConfigChange {
                policy: judge.name().to_owned(),
                plugin: stage.guest.clone(),
                position: u32::try_from(position).unwrap_or(u32::MAX),
                patch: Value::Object(patch).to_string(),
            });
        }
        Ok(changes)
    }
}

/// Changes configurations as the record says that they were changed for the ADD: CHECK and DEL are about what was made.
/// Of a list that ran in one process then and does not now, or the other way round, the plugin is found by its type.
pub(crate) fn reapply<'r>(records: impl Iterator<Item = &'r Record>, stages: &mut [Stage]) {
    let last = records.filter_map(|record| record.committed().next_back());
    for change in last.flat_map(|transaction| &transaction.changes) {
        let Ok(patch) = patch::read(&change.patch) else { continue };
        let there = usize::try_from(change.position)
            .ok()
            .filter(|position| stages.get(*position).is_some_and(|stage| stage.guest == change.plugin));
        let found = there.or_else(|| stages.iter().position(|stage| stage.guest == change.plugin));
        if let Some(stage) = found.and_then(|position| stages.get_mut(position)) {
            patch::apply(&mut stage.conf.raw, &patch);
        }
    }
}
