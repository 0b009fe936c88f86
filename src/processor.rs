//! Whether this processor has the instructions that the program was built with.
//!
//! Called by `main` before anything else. `.cargo/config.toml` builds for the machine that builds; on
//! another, the first instruction that is not there would end the program without a word, which an editor
//! shows as a server that will not start.

/// An extension of the instruction set as rustc names it, whether the program was built with it, and
/// whether the processor has it.
type Extension = (&'static str, bool, bool);

/// What the program was built with and this processor lacks, by rustc's names; mostly nothing.
pub fn missing() -> Vec<&'static str> {
    lacking(&extensions())
}

fn lacking(extensions: &[Extension]) -> Vec<&'static str> {
    let lacking = extensions.iter().filter(|(_, built, here)| *built && !here);
    lacking.map(|(name, ..)| *name).collect()
}

/// Those that compilers use by themselves. `is_x86_feature_detected!` does not ask the processor for what
/// the program was built with.
#[cfg(target_arch = "x86_64")]
fn extensions() -> Vec<Extension> {
    let cpu = raw_cpuid::CpuId::new();
    let basic = cpu.get_feature_info();
    let extended = cpu.get_extended_feature_info();
    let vendor = cpu.get_extended_processor_and_feature_identifiers();
    macro_rules! extensions {
        ($($name:tt in $leaf:ident: $has:ident),+ $(,)?) => {
            vec![$((
                $name,
                cfg!(target_feature = $name),
                $leaf.as_ref().is_some_and(|leaf| leaf.$has()),
            )),+]
        };
    }
    extensions![
        "sse3" in basic: has_sse3,
        "ssse3" in basic: has_ssse3,
        "sse4.1" in basic: has_sse41,
        "sse4.2" in basic: has_sse42,
        "popcnt" in basic: has_popcnt,
        "movbe" in basic: has_movbe,
        "avx" in basic: has_avx,
        "f16c" in basic: has_f16c,
        "fma" in basic: has_fma,
        "sse4a" in vendor: has_sse4a,
        "lzcnt" in vendor: has_lzcnt,
        "tbm" in vendor: has_tbm,
        "bmi1" in extended: has_bmi1,
        "bmi2" in extended: has_bmi2,
        "avx2" in extended: has_avx2,
        "avxvnni" in extended: has_avx_vnni,
        "gfni" in extended: has_gfni,
        "vaes" in extended: has_vaes,
        "vpclmulqdq" in extended: has_vpclmulqdq,
        "avx512f" in extended: has_avx512f,
        "avx512bw" in extended: has_avx512bw,
        "avx512cd" in extended: has_avx512cd,
        "avx512dq" in extended: has_avx512dq,
        "avx512vl" in extended: has_avx512vl,
        "avx512ifma" in extended: has_avx512_ifma,
        "avx512vbmi" in extended: has_avx512vbmi,
        "avx512vbmi2" in extended: has_avx512vbmi2,
        "avx512vnni" in extended: has_avx512vnni,
        "avx512bitalg" in extended: has_avx512bitalg,
        "avx512vpopcntdq" in extended: has_avx512vpopcntdq,
        "avx512bf16" in extended: has_avx512_bf16,
        "avx512fp16" in extended: has_avx512_fp16,
    ]
}

/// Elsewhere a build is for all processors of its kind, or for one kind of computer.
#[cfg(not(target_arch = "x86_64"))]
fn extensions() -> Vec<Extension> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_missing_where_the_program_was_built() {
        assert_eq!(missing(), Vec::<&str>::new());
    }

    #[test]
    fn only_what_was_built_with_can_be_missing() {
        let extensions = [
            ("built with, here", true, true),
            ("built with, not here", true, false),
            ("neither", false, false),
            ("here for nothing", false, true),
        ];
        assert_eq!(lacking(&extensions), ["built with, not here"]);
    }

    /// The processor is asked indeed: what rustc detects at run time is what is found.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_processor_is_asked() {
        let here = |name| extensions().iter().any(|(n, _, here)| *n == name && *here);
        assert_eq!(here("avx2"), std::is_x86_feature_detected!("avx2"));
        assert_eq!(here("avx512f"), std::is_x86_feature_detected!("avx512f"));
        assert_eq!(here("sse4a"), std::is_x86_feature_detected!("sse4a"));
        assert_eq!(here("tbm"), std::is_x86_feature_detected!("tbm"));
    }
}
