//! Pictures for a model that sees: type and size checked, scaled down.
//!
//! A vision model cuts a picture into tiles of a few hundred pixels; more pixels than `LONGEST_SIDE`
//! cost time and show it nothing new. Called where a picture comes in, on a thread of its own.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader};

use crate::prompt::Image;

/// Largest file, in bytes: a photograph of a good camera.
pub const MOST_BYTES: usize = 20 << 20;
/// Largest picture that is decoded, in pixels a side: a screen of 8K twice.
const MOST_SIDE: u32 = 16_384;
/// Most memory for decoding, in bytes.
const MOST_MEMORY_BYTES: u64 = 512 << 20;
/// The longer side afterwards, in pixels: Llama 3.2 Vision reads 1,120, the Qwen family about as many
/// before a picture costs more tokens than the text around it.
const LONGEST_SIDE: u32 = 1_280;
/// Quality of a JPEG that was scaled down.
const JPEG_QUALITY: u8 = 90;

/// Why a picture cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Not a picture that is known here.
    #[error("{0} is not a PNG, JPEG, GIF or WebP picture")]
    Unknown(String),
    /// The file is too large.
    #[error("{name} has {} MB; at most {} MB are taken, so scale it down first", bytes >> 20, MOST_BYTES >> 20)]
    TooLarge {
        /// The file.
        name: String,
        /// Its size.
        bytes: usize,
    },
    /// It cannot be decoded.
    #[error("{name} cannot be read as a picture")]
    Broken {
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: image::ImageError,
    },
}

/// Whether `bytes` begin as a picture does.
pub fn is_picture(bytes: &[u8]) -> bool {
    format_of(bytes).is_some()
}

fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    let format = image::guess_format(bytes).ok()?;
    let known = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Gif,
        ImageFormat::WebP,
    ];
    known.contains(&format).then_some(format)
}

/// The picture as a model is shown it; `name` is for the error. The type is read from the bytes, never
/// believed.
pub fn prepare(name: &str, bytes: Vec<u8>) -> Result<Image, PictureError> {
    let format = format_of(&bytes).ok_or_else(|| PictureError::Unknown(name.to_owned()))?;
    if bytes.len() > MOST_BYTES {
        return Err(PictureError::TooLarge {
            name: name.to_owned(),
            bytes: bytes.len(),
        });
    }
    let broken = |source| PictureError::Broken {
        name: name.to_owned(),
        source,
    };
    let mut reader = ImageReader::with_format(Cursor::new(&bytes), format);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MOST_SIDE);
    limits.max_image_height = Some(MOST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY_BYTES);
    reader.limits(limits);
    let decoded = reader.decode().map_err(broken)?;
    let fits = decoded.width().max(decoded.height()) <= LONGEST_SIDE;
    // Every server reads these two.
    let common = matches!(format, ImageFormat::Png | ImageFormat::Jpeg);
    if fits && common {
        return Ok(Image {
            mime: format.to_mime_type().to_owned(),
            bytes: bytes.into(),
        });
    }
    let scaled = if fits {
        decoded
    } else {
        decoded.resize(LONGEST_SIDE, LONGEST_SIDE, FilterType::Triangle)
    };
    encode(&scaled, format).map_err(broken)
}

/// Photographs stay JPEG; everything else becomes PNG, which keeps letters sharp.
fn encode(picture: &DynamicImage, format: ImageFormat) -> Result<Image, image::ImageError> {
    let mut out = Cursor::new(Vec::new());
    let format = if format == ImageFormat::Jpeg {
        let rgb = picture.to_rgb8();
        rgb.write_with_encoder(JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY))?;
        ImageFormat::Jpeg
    } else {
        picture.write_to(&mut out, ImageFormat::Png)?;
        ImageFormat::Png
    };
    Ok(Image {
        mime: format.to_mime_type().to_owned(),
        bytes: out.into_inner().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let picture = DynamicImage::new_rgb8(width, height);
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    #[test]
    fn large_ones_are_scaled_and_rare_ones_converted() {
        for (width, height, format, mime, size) in [
            (40, 30, ImageFormat::Png, "image/png", (40, 30)),
            (40, 30, ImageFormat::Jpeg, "image/jpeg", (40, 30)),
            (40, 30, ImageFormat::WebP, "image/png", (40, 30)),
            (2560, 100, ImageFormat::Png, "image/png", (1280, 50)),
            (100, 2560, ImageFormat::Jpeg, "image/jpeg", (50, 1280)),
        ] {
            let bytes = file(width, height, format);
            let shown = prepare("a", bytes.clone()).unwrap();
            assert_eq!(shown.mime, mime);
            let decoded = image::load_from_memory(&shown.bytes).unwrap();
            assert_eq!((decoded.width(), decoded.height()), size, "{format:?}");
            let untouched = size == (width, height) && format != ImageFormat::WebP;
            assert_eq!(*shown.bytes == *bytes, untouched, "{format:?}");
        }
    }

    #[test]
    fn what_is_no_picture_is_said() {
        let png = file(40, 30, ImageFormat::Png);
        for (bytes, expected) in [
            (b"<svg/>".to_vec(), "a.x is not a PNG"),
            (Vec::new(), "a.x is not a PNG"),
            (png[..40].to_vec(), "a.x cannot be read as a picture"),
            (
                [png.as_slice(), &vec![0; MOST_BYTES]].concat(),
                "a.x has 20 MB; at most 20 MB",
            ),
        ] {
            let error = prepare("a.x", bytes).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        // A small file that claims to be huge is not decoded.
        let mut claims = png;
        claims[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        assert!(prepare("a.x", claims).is_err());
    }
}
