//! The program's own code, as far as it is in memory.
//!
//! Most of a start is done once: arguments, certificates, lists. The kernel has mapped that code,
//! and what lies around it, and leaves it mapped. Given back, it maps again what is used.

use std::{fs, io};

/// Gives back the pages of code, which the kernel has in its cache and maps again when they are run.
/// Returns how many bytes that may have been.
///
/// # Errors
/// If the kernel does not say where the code is, or keeps it.
pub fn give_back() -> io::Result<usize> {
    let mut all_bytes = 0;
    for (start, bytes) in mapped(&fs::read_to_string("/proc/self/maps")?) {
        let start = std::ptr::without_provenance_mut(start);
        // SAFETY: the range is a mapping of a file that may be run and not be written, so its pages
        // hold what the file holds, and the next look at one finds the same.
        if unsafe { libc::madvise(start, bytes, libc::MADV_DONTNEED) } != 0 {
            return Err(io::Error::last_os_error());
        }
        all_bytes += bytes;
    }
    Ok(all_bytes)
}

/// Start and length of each mapping of code from a file.
fn mapped(maps: &str) -> impl Iterator<Item = (usize, usize)> {
    maps.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let is_file = words.nth(3)?.starts_with('/');
        let (start, end) = range.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let bytes = usize::from_str_radix(end, 16).ok()?.checked_sub(start)?;
        (is_file && rights == "r-xp").then_some((start, bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_given_back() {
        let maps = "\
            1000-3000 r--p 00000000 fe:00 7    /program\n\
            3000-8000 r-xp 00002000 fe:00 7    /program\n\
            8000-9000 rw-p 00007000 fe:00 7    /program\n\
            a000-b000 r-xp 00000000 00:00 0\n\
            c000-d000 r-xp 00000000 00:00 0    [vdso]\n";
        let found: Vec<_> = mapped(maps).collect();
        assert_eq!(found, [(0x3000, 0x5000)]);
    }

    #[test]
    fn the_program_goes_on() {
        assert!(give_back().unwrap() > 0);
        assert!(give_back().unwrap() > 0);
    }
}
