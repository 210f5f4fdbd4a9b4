//! Samples and what is said about them: median and 95th percentile.

use std::iter::Sum;
use std::ops::Sub;
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};

/// Wall and CPU time of one operation, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
}

impl Sum for Sample {
    fn sum<I: Iterator<Item = Self>>(samples: I) -> Self {
        samples.fold(Self::default(), |a, b| Self { wall: a.wall + b.wall, cpu: a.cpu + b.cpu })
    }
}

/// A moment on the clock, and the CPU time of all children that were waited for by then, theirs included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    wall: Instant,
    cpu: f64,
}

impl Moment {
    /// Now.
    pub(crate) fn now() -> Result<Self> {
        let usage =
            getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot read the CPU time of the children")?;
        let microseconds = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        Ok(Self { wall: Instant::now(), cpu: as_float(microseconds) / 1e3 })
    }
}

impl Sub for Moment {
    type Output = Sample;

    fn sub(self, earlier: Self) -> Sample {
        Sample { wall: (self.wall - earlier.wall).as_secs_f64() * 1e3, cpu: self.cpu - earlier.cpu }
    }
}

/// What a series of samples comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) wall: f64,
    pub(crate) wall_p95: f64,
    pub(crate) cpu: f64,
    pub(crate) cpu_p95: f64,
}

impl Summary {
    /// `None` of no samples.
    pub(crate) fn of(samples: &[Sample]) -> Option<Self> {
        let part = |get: fn(&Sample) -> f64| samples.iter().map(get).collect::<Vec<_>>();
        let (wall, cpu) = (part(|sample| sample.wall), part(|sample| sample.cpu));
        Some(Self {
            count: samples.len(),
            wall: median(&wall)?,
            wall_p95: percentile(&wall, 95)?,
            cpu: median(&cpu)?,
            cpu_p95: percentile(&cpu, 95)?,
        })
    }

    /// As it goes into the JSON file, in milliseconds.
    pub(crate) fn json(&self) -> Value {
        json!({
            "samples": self.count,
            "wall_ms": {"median": round(self.wall), "p95": round(self.wall_p95)},
            "cpu_ms": {"median": round(self.cpu), "p95": round(self.cpu_p95)},
        })
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// The smallest value that at least `percent` of the values do not exceed.
fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let rank = (values.len() * percent).div_ceil(100).max(1);
    sorted(values).get(rank - 1).copied()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// To the third digit behind the point.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Microseconds of CPU time stay far below 2^53, where a float counts exactly.
#[allow(clippy::cast_precision_loss, reason = "see the comment above")]
pub(crate) fn as_float(microseconds: i64) -> f64 {
    microseconds as f64
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "whole numbers, exactly represented")]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_series() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn the_95th_percentile_is_a_value_that_was_seen() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&hundred, 95), Some(95.0));
        assert_eq!(percentile(&[7.0, 9.0, 8.0], 95), Some(9.0));
        assert_eq!(percentile(&[7.0], 95), Some(7.0));
        assert_eq!(percentile(&[], 95), None);
    }

    #[test]
    fn a_summary_is_taken_of_wall_and_cpu_apart() {
        let samples = [(1.0, 9.0), (2.0, 8.0), (3.0, 1.0)].map(|(wall, cpu)| Sample { wall, cpu });
        let summary = Summary::of(&samples).unwrap();
        assert_eq!((summary.wall, summary.cpu, summary.count), (2.0, 8.0, 3));
        assert_eq!(samples.into_iter().sum::<Sample>(), Sample { wall: 6.0, cpu: 18.0 });
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn the_cpu_time_of_grandchildren_counts() {
        let before = Moment::now().unwrap();
        let script = "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; true";
        assert!(std::process::Command::new("sh").args(["-c", script]).status().unwrap().success());
        let sample = Moment::now().unwrap() - before;
        assert!(sample.cpu > 10.0 && sample.wall > 10.0, "{sample:?}");
    }
}
