// The implementation of stb_image, with only the formats that the command reads through it. It has no size
// limit worth the name of its own: decode_image() checks the header first.
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#include <stb/stb_image.h>
