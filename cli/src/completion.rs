//! `completion`: a script that teaches a shell the commands and flags.

use crate::args::{Args, CompletionArgs};
use clap::CommandFactory;

/// What the shell runs. The name with a blank is kubectl's; scripts complete the program itself.
const PROGRAM: &str = "kubectl-active_passive";

/// The script.
pub(crate) fn run(args: &CompletionArgs) -> String {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), PROGRAM, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap_complete::Shell;

    #[test]
    fn each_shell_learns_every_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = run(&CompletionArgs { shell });
            for command in Args::command().get_subcommands() {
                let name = command.get_name();
                assert!(script.contains(name), "{shell}: no {name}");
            }
            assert!(script.contains("request-timeout"), "{shell}");
            assert!(script.contains(PROGRAM), "{shell}");
        }
    }
}
