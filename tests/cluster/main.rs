//! Tests on a real cluster: one is started for all of them, and ended in any case.
//!
//! `cargo test -p tests --test cluster -- <part of a name>` runs what matches, as root.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod beside;
mod browser;
mod budget;
mod certificate_damage;
mod chart;
mod cli;
mod cli_check;
mod cli_check_groups;
mod cli_check_installation;
mod cli_many;
mod cli_outputs;
mod cli_story;
mod connections;
mod context;
mod dashboard;
mod demo;
mod fencing;
mod fencing_attempts;
mod fencing_cast;
mod fencing_innocent;
mod fencing_modes;
mod fencing_outside;
mod fencing_stolen;
mod fencing_trespass;
mod harness;
mod injector;
mod injector_accounts;
mod injector_meddler;
mod injector_order;
mod input;
mod install;
mod install_availability;
mod install_cert_manager;
mod install_cold_start;
mod install_helm_3;
mod install_host_network;
mod install_leftovers;
mod install_reviews;
mod install_rights;
mod monitoring;
mod moves;
mod overload;
mod policy;
mod policy_names;
mod prometheus;
mod rotation;
mod routing;
mod routing_apply;
mod seeds;
mod service_mode;
mod service_mode_attempts;
mod service_mode_load;
mod service_mode_node;
mod service_mode_rule;
mod service_mode_seed;
mod steady;
mod tutorial;
mod watch;
mod webhook_attempts;
mod webhook_bindings;
mod webhook_entries;

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};
use tests::cluster;

use context::{Case, Shared};

fn main() -> ExitCode {
    if let Some(code) = cluster::divert()
        .or_else(harness::divert)
        .or_else(cli::divert)
        .or_else(injector_meddler::divert)
    {
        return code;
    }
    let mut args = Arguments::from_args();
    args.test_threads = Some(1);
    let shared = Arc::new(Shared::default());
    let cases = harness::CASES
        .iter()
        .chain(demo::CASES)
        .chain(chart::CASES)
        .chain(install::CASES)
        .chain(install_availability::CASES)
        .chain(install_cert_manager::CASES)
        .chain(policy::CASES)
        .chain(policy_names::CASES)
        .chain(moves::CASES)
        .chain(overload::CASES)
        .chain(budget::CASES)
        .chain(connections::CASES)
        .chain(steady::CASES)
        .chain(cli::CASES)
        .chain(cli_check::CASES)
        .chain(dashboard::CASES)
        .chain(watch::CASES)
        .chain(cli_many::CASES)
        .chain(cli_story::CASES)
        .chain(fencing::CASES)
        .chain(fencing_innocent::CASES)
        .chain(fencing_modes::CASES)
        .chain(routing::CASES)
        .chain(routing_apply::CASES)
        .chain(injector::CASES)
        .chain(injector_accounts::CASES)
        .chain(injector_order::CASES)
        .chain(service_mode::CASES)
        .chain(service_mode_seed::CASES)
        .chain(service_mode_attempts::CASES)
        .chain(service_mode_load::CASES)
        .chain(service_mode_node::CASES)
        .chain(service_mode_rule::CASES)
        .chain(webhook_attempts::CASES)
        .chain(monitoring::CASES)
        .chain(input::CASES)
        .chain(tutorial::CASES);
    let mut trials: Vec<Trial> = cases.map(|case| trial(case, &shared)).collect();
    trials.extend(beside::trials(seeds::cases(), &args, &shared));
    let conclusion = libtest_mimic::run(&args, trials);
    shared.end();
    conclusion.exit_code()
}

fn trial(case: &'static Case, shared: &Arc<Shared>) -> Trial {
    let shared = shared.clone();
    Trial::test(case.name, move || Ok(shared.run(case)?))
}
