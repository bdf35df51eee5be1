//! The engine under criterion: what a decision and a parse take as documents grow, and the peer with the same rollout.

mod peer;

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use serin_bench_engine::{Question, RELEASES, RULES, criterion_directory, document};
use serin_config::Split;

use crate::peer::{CALLS, Pair, Work};

fn main() -> Result<(), Box<dyn Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4))
        .output_directory(&criterion_directory()?)
        .configure_from_args();
    decide(&mut criterion)?;
    parse(&mut criterion);
    rollout(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn decide(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    type Make = fn(usize) -> Result<Question, Box<dyn Error>>;
    let questions: [(&str, _, Make); 2] =
        [("decide-releases", RELEASES, Question::of_releases), ("decide-rules", RULES, Question::of_rules)];
    for (name, sizes, question) in questions {
        let mut group = criterion.benchmark_group(name);
        for size in sizes {
            let question = question(size)?;
            let destination = question.destination();
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| question.answer(black_box(&destination)));
            });
        }
        group.finish();
    }
    Ok(())
}

/// With the drop of the document, as whoever replaces one by the next.
fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for size in RELEASES {
        let text = document(size);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| Split::parse(black_box(text.as_bytes())));
        });
    }
    group.finish();
}

/// An iteration is a round: the same users for both engines, in turn.
fn rollout(criterion: &mut Criterion) -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    for work in Work::ALL {
        let mut group = criterion.benchmark_group(work.name());
        group.throughput(Throughput::Elements(CALLS as u64));
        group.bench_function("decide", |bencher| bencher.iter(|| pair.decide(work)));
        group.bench_function("yggdrasil", |bencher| bencher.iter(|| pair.yggdrasil(work)));
        group.finish();
    }
    Ok(())
}
