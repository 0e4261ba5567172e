#pragma once

#include <string>
#include <string_view>

namespace sluice::engine::mail {

inline constexpr size_t encoded_word_bytes_max = 75;  // RFC 2047 section 2

/// Where an encoded-word stands (RFC 2047 section 5): a phrase allows fewer octets as they are.
enum class EncodedWordPlace : bool { text, phrase };

/// Appends `text` (UTF-8, or nearly) as encoded-words, of B or Q whichever is shorter, each whole
/// characters. `column` is where the first one begins; it is moved along. Lines are folded where a
/// word would pass column 76 (section 2); the first word is put on a new line (`before`, after a
/// CRLF) when too little room is left, else `before` stands before it.
void encode_words(std::string& out, size_t& column, std::string_view before, std::string_view text,
                  EncodedWordPlace place);

/// Finds the encoded-words of an unfolded header value and decodes them to UTF-8; white space
/// between two of them vanishes (section 6.2). With `quote`, what was decoded becomes a
/// quoted-string, so that its characters are not taken for syntax. What is no encoded-word, or in a
/// charset nobody knows, stays as it is.
std::string decode_encoded_words(std::string_view value, bool quote);

/// Length of the UTF-8 character that begins `text`; 1 for what is none.
size_t utf8_character_bytes(std::string_view text);

}  // namespace sluice::engine::mail
