// Decimal text to exact 128 bit integers and back.
//
// A column of a book holds `value * 10**decimals` with one `decimals` for all of it. The rule of what is taken is that
// of hoga/domain/numbers.py: JSON's notation, ASCII digits, at most 48 characters, whole part below 10**20, at most 18
// decimals. Every such value fits 10**38 < 2**127 whatever the decimals of its column: nothing here can overflow.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

namespace hoga {

using i64 = std::int64_t;
using u64 = std::uint64_t;
__extension__ typedef __int128 i128;
__extension__ typedef unsigned __int128 u128;

constexpr int MAX_CHARS = 48;
constexpr int MAX_WHOLE = 20;
constexpr int MAX_DECIMALS = 18;

constexpr u64 POW10[] = {1ull,
                         10ull,
                         100ull,
                         1000ull,
                         10000ull,
                         100000ull,
                         1000000ull,
                         10000000ull,
                         100000000ull,
                         1000000000ull,
                         10000000000ull,
                         100000000000ull,
                         1000000000000ull,
                         10000000000000ull,
                         100000000000000ull,
                         1000000000000000ull,
                         10000000000000000ull,
                         100000000000000000ull,
                         1000000000000000000ull,
                         10000000000000000000ull};

// 10**n for n of 0 to 38.
inline u128 pow10(int n) { return n < 20 ? u128(POW10[n]) : u128(POW10[19]) * POW10[n - 19]; }

inline unsigned digit_of(char c) { return unsigned(static_cast<unsigned char>(c)) - '0'; }

// A number as it was written: `digits * 10**exponent`, without trailing zeros in `digits`.
struct Number {
  u128 digits = 0;
  int exponent = 0;
  int sent = 0;  // decimals as written, trailing zeros included

  int decimals() const { return exponent < 0 ? -exponent : 0; }
  i128 at(int decimals) const { return digits ? i128(digits * pow10(decimals + exponent)) : 0; }
};

// Reads one number that ends at `end`. False where it is none, is negative, or breaks the rule.
inline bool parse(const char* p, const char* end, Number& out) {
  if (end - p > MAX_CHARS) return false;
  const bool negative = p < end && *p == '-';
  if (negative) ++p;
  u128 digits = 0;
  int significant = 0, zeros = 0, fraction = 0;  // zeros: seen behind the digits, not yet known to be trailing
  bool in_fraction = false, any = false;
  for (; p < end; ++p) {
    if (*p == '.') {
      if (in_fraction || !any) return false;
      in_fraction = true;
      any = false;
      continue;
    }
    const unsigned c = digit_of(*p);
    if (c > 9) break;
    any = true;
    fraction += in_fraction;
    if (c == 0) {
      zeros += significant > 0;
      continue;
    }
    significant += zeros + 1;
    if (significant > MAX_WHOLE + MAX_DECIMALS) return false;
    digits = digits * pow10(zeros + 1) + c;
    zeros = 0;
  }
  if (!any) return false;
  int exponent = 0;
  if (p < end) {
    if (*p != 'e' && *p != 'E') return false;
    ++p;
    const bool minus = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) ++p;
    const char* first = p;
    for (; p < end && digit_of(*p) < 10 && p - first < 3; ++p) exponent = exponent * 10 + int(digit_of(*p));
    if (p == first || p != end) return false;
    if (minus) exponent = -exponent;
  }
  out.sent = fraction > exponent ? fraction - exponent : 0;
  if (!digits) {
    out.digits = 0;
    out.exponent = 0;
    return true;
  }
  const int places = fraction - exponent;
  if (places > MAX_CHARS || places < -MAX_CHARS) return false;
  out.digits = digits;
  out.exponent = exponent - fraction + zeros;
  return !negative && significant + out.exponent <= MAX_WHOLE && out.exponent >= -MAX_DECIMALS;
}

// The usual form, `digits` or `digits.digits` that need no more than the column's decimals and fit 18 digits there:
// moves `p` behind it. False says nothing: `parse` decides.
inline bool parse_plain(const char*& p, const char* end, int decimals, i128& value, int& sent) {
  const char* q = p;
  u64 digits = 0;
  unsigned c = 0;
  for (; q < end && (c = digit_of(*q)) < 10; ++q) digits = digits * 10 + c;
  const std::ptrdiff_t whole = q - p;
  if (whole == 0 || whole + decimals > MAX_DECIMALS) return false;
  int left = decimals;
  sent = 0;
  if (q < end && *q == '.') {
    const char* first = ++q;
    for (; left && q < end && (c = digit_of(*q)) < 10; ++q, --left) digits = digits * 10 + c;
    while (q < end && *q == '0') ++q;
    sent = int(q - first);
    if (sent == 0) return false;
  }
  if (q - p > MAX_CHARS) return false;
  if (q < end && (digit_of(*q) < 10 || *q == '.' || *q == 'e' || *q == 'E')) return false;
  value = i128(digits * POW10[left]);
  p = q;
  return true;
}

// Writes the digits of `value` so that they end before `end`; gives where they begin. At most 39 characters.
inline char* write_digits(char* end, u128 value) {
  while (value > ~u64(0)) {
    u64 low = u64(value % POW10[18]);
    value /= POW10[18];
    for (int i = 0; i < 18; ++i, low /= 10) *--end = char('0' + low % 10);
  }
  u64 rest = u64(value);
  do {
    *--end = char('0' + rest % 10);
    rest /= 10;
  } while (rest);
  return end;
}

// `value / 10**decimals` as plain text with `shown` decimals, or with as few as it needs where `shown` is negative.
inline std::string text_of(i128 value, int decimals, int shown = -1) {
  char buffer[96];
  char* end = buffer + sizeof buffer;
  char* first = write_digits(end, u128(value));
  while (end - first <= decimals) *--first = '0';
  std::string text(first, end - decimals);
  std::string fraction(end - decimals, end);
  if (shown < 0) {
    fraction.erase(fraction.find_last_not_of('0') + 1);
  } else {
    fraction.resize(std::size_t(shown), '0');
  }
  return fraction.empty() ? text : text + "." + fraction;
}

}  // namespace hoga
