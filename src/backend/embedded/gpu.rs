//! How much of a model goes to a graphics device.
//!
//! Called when weights are loaded, in builds with one of the features `cuda`, `metal` or `vulkan`; the
//! decision itself is the same pure function in every build. Layers that do not fit stay with the
//! processor, and a person is told.

use llama_cpp_2::{LlamaBackendDeviceType, list_llama_ggml_backend_devices};

/// Left free on the device, in bytes: what desktop and driver take between our look and our load, and
/// what fragments. llama.cpp's own fitting keeps as much (`common_fit_params`, 1 GiB) on large devices;
/// a quarter of that still leaves room for a screen.
const MARGIN_BYTES: u64 = 256 << 20;

/// What of a model needs memory of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Blocks of the model.
    pub(super) layers: u32,
    /// Weights of one layer.
    pub(super) layer_bytes: u64,
    /// Keys and values of one layer, for the whole context.
    pub(super) cache_bytes: u64,
    /// Weights behind the last layer, which llama.cpp counts as one layer more.
    pub(super) output_bytes: u64,
    /// What a batch is computed in, whatever the number of layers.
    pub(super) compute_bytes: u64,
}

/// The number to hand to llama.cpp: 0 for none, one more than there are layers for all and the output.
pub(super) fn layers_that_fit(free_bytes: u64, sizes: &Sizes) -> u32 {
    let fixed_bytes = sizes.compute_bytes.saturating_add(MARGIN_BYTES);
    let for_layers = free_bytes.saturating_sub(fixed_bytes);
    let per_layer = sizes.layer_bytes.saturating_add(sizes.cache_bytes).max(1);
    let fitting = for_layers / per_layer;
    if fitting < u64::from(sizes.layers) {
        return u32::try_from(fitting).unwrap_or(sizes.layers);
    }
    let left = for_layers - per_layer * u64::from(sizes.layers);
    sizes.layers + u32::from(left >= sizes.output_bytes)
}

/// What of the `needed_bytes` of a model is left to this machine's memory when so much is on the device.
pub(super) fn left_to_host(needed_bytes: u64, on_device: u32, sizes: &Sizes) -> u64 {
    let all = u64::from(sizes.layers) + 1;
    let left = all.saturating_sub(u64::from(on_device));
    needed_bytes / all * left
}

/// What is said when not all of a model is on the device; `None` when all is.
pub(super) fn remark(on_device: u32, sizes: &Sizes, free_bytes: u64) -> Option<String> {
    let free_mib = free_bytes >> 20;
    if on_device == 0 {
        return Some(format!(
            "runs on the processor: the graphics device has {free_mib} MiB free, too few for one layer"
        ));
    }
    (on_device <= sizes.layers).then(|| {
        format!(
            "{on_device} of {} layers run on the graphics device, which has {free_mib} MiB free",
            sizes.layers
        )
    })
}

/// What is said where a build for graphics devices finds none.
pub(super) fn remark_without_device() -> Option<String> {
    let is_meant = cfg!(any(feature = "cuda", feature = "metal", feature = "vulkan"));
    is_meant.then(|| {
        "runs on the processor: this build can use a graphics device, but finds none; see what the driver's own \
         tool (`nvidia-smi`, `vulkaninfo`) says"
            .to_owned()
    })
}

/// Free memory of the graphics device that has the most; `None` when there is none.
pub(super) fn free_device_bytes() -> Option<u64> {
    list_llama_ggml_backend_devices()
        .iter()
        .filter(|device| {
            matches!(
                device.device_type,
                LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu
            )
        })
        .map(|device| device.memory_free as u64)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Like Qwen2.5-Coder 1.5B in `Q4_K_M` with a context of 8,192 tokens.
    const SIZES: Sizes = Sizes {
        layers: 28,
        layer_bytes: 30 * MIB,
        cache_bytes: 8 * MIB,
        output_bytes: 180 * MIB,
        compute_bytes: 300 * MIB,
    };

    #[test]
    fn layers_follow_the_free_memory() {
        let fixed = 556;
        let cases = [
            (0, 0),
            (fixed, 0),
            (fixed + 37, 0),
            (fixed + 38, 1),
            (fixed + 38 * 10 + 37, 10),
            (fixed + 38 * 28, 28),
            (fixed + 38 * 28 + 179, 28),
            (fixed + 38 * 28 + 180, 29),
            (80_000, 29),
        ];
        for (free_mib, expect) in cases {
            assert_eq!(
                layers_that_fit(free_mib * MIB, &SIZES),
                expect,
                "{free_mib} MiB"
            );
        }
        let unknown = Sizes {
            layers: 0,
            layer_bytes: 0,
            cache_bytes: 0,
            ..SIZES
        };
        assert_eq!(layers_that_fit(u64::MAX, &unknown), 1);
        assert_eq!(layers_that_fit(0, &unknown), 0);
    }

    #[test]
    fn more_memory_never_means_fewer_layers() {
        let mut before = 0;
        for free_mib in 0..4000 {
            let layers = layers_that_fit(free_mib * MIB, &SIZES);
            assert!(layers >= before, "{free_mib}");
            before = layers;
        }
    }

    #[test]
    fn what_is_on_the_device_needs_no_other_memory() {
        for (on_device, expect) in [(0, 2900), (1, 2800), (28, 100), (29, 0)] {
            assert_eq!(left_to_host(2900, on_device, &SIZES), expect, "{on_device}");
        }
    }

    #[test]
    fn what_stays_with_the_processor_is_said() {
        let cases = [
            (0, Some("runs on the processor")),
            (10, Some("10 of 28 layers")),
            (28, Some("28 of 28 layers")),
            (29, None),
        ];
        for (on_device, expect) in cases {
            let said = remark(on_device, &SIZES, 900 * MIB);
            match expect {
                None => assert_eq!(said, None),
                Some(start) => assert!(said.is_some_and(|said| said.starts_with(start)), "{start}"),
            }
        }
    }
}
