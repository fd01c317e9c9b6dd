// Hostile bytes against the reader of levels and the book, for AddressSanitizer and UBSan:
//
//     c++ -std=c++17 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -Inative/include
//         native/fuzz/fuzz.cpp -o fuzz && ./fuzz SEED INPUTS
//
// (With clang, -DLIBFUZZER -fsanitize=fuzzer,address,undefined runs the same under libFuzzer.) The first byte of an
// input says what is done with the rest; after each one the rules of the book hold, or it aborts.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "hoga/message.hpp"

namespace {

using namespace hoga;

const Shape SHAPES[] = {
    {Shape::Kind::ROWS, true, false, "", "", "", "", "", "", ""},
    {Shape::Kind::ROWS, true, true, "", "", "", "", "", "", ""},
    {Shape::Kind::OBJECTS, false, false, "p", "q", "", "", "", "", ""},
    {Shape::Kind::SIDED, true, false, "p", "q", "s", "b", "a", "", ""},
    {Shape::Kind::UNITS, false, false, "p", "q", "", "", "", "x", "y"},
};
constexpr unsigned KINDS = sizeof SHAPES / sizeof *SHAPES;

void must(bool kept, const char* rule) {
  if (kept) return;
  std::fprintf(stderr, "broken: %s\n", rule);
  std::abort();
}

void check(const Book& book) {
  must(book.bids.sound() && book.asks.sound(), "a side is sorted, counted, and holds no level that is none");
  must(book.bids.size() <= Book::MAX_SIDE_LEVELS && book.asks.size() <= Book::MAX_SIDE_LEVELS, "a side has a limit");
  must(book.price_decimals() <= MAX_DECIMALS && book.size_decimals() <= MAX_DECIMALS, "decimals have a limit");
  std::string message;
  if (!write_levels(message, book, 20)) message.clear();
  const std::string digits = book.sent_digits(5);
  must(digits.find_first_not_of("0123456789") == std::string::npos, "digits are digits");
  book.bids.each(3, [&](const Level& level, const Sent& sent) {
    Number number;
    const std::string shown = text_of(level.price, book.price_decimals(), sent.price);
    const std::string least = text_of(level.price, book.price_decimals());
    must(parse(least.data(), least.data() + least.size(), number), "what is shown can be read");
    must(number.at(book.price_decimals()) == level.price, "and is the same");
    must(shown.compare(0, least.size(), least) == 0, "trailing zeros are all that is added");
    must(book.bids.find(level.price) != nullptr, "a level is found");
  });
}

struct Copy {  // of exactly the size: whatever is read beyond it is seen
  explicit Copy(std::string_view from) : data(static_cast<char*>(std::malloc(from.size() + !from.size()))), size(from.size()) {
    if (size) std::memcpy(data, from.data(), size);
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  ~Copy() { std::free(data); }
  std::string_view view() const { return {data, size}; }
  char* data;
  std::size_t size;
};

std::unique_ptr<Book> book(new Book);

void one(const unsigned char* data, std::size_t size) {
  if (size < 2) return;
  const unsigned what = data[0], number = data[1];
  const std::string_view rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Shape& shape = SHAPES[what % KINDS];
  const std::size_t half = shape.kind == Shape::Kind::ROWS || shape.kind == Shape::Kind::OBJECTS
                               ? std::min(rest.find('\n'), rest.size())
                               : rest.size();
  const Copy first(rest.substr(0, half)), second(half < rest.size() ? rest.substr(half + 1) : std::string_view());
  static Update update;
  update.begin(book->price_decimals(), book->size_decimals());
  Status status = Status::TAKEN;
  if (what >= 250) {  // as texts
    const std::size_t cut = std::min(first.size, std::size_t(number % 16));
    status = update.text(what & 1, first.view().substr(0, cut), first.view().substr(cut));
  } else {
    status = update.json(shape, first.view(), second.view());
  }
  if (status == Status::TAKEN) {
    const u64 digest = update.digest();
    must(digest == update.digest(), "a digest is one");
    if (what / KINDS == 0) {
      book->replace(update, number % 7);
    } else {
      book->apply(update);
      if (book->crossed() && number % 16 == 1) {
        update.begin(book->price_decimals(), book->size_decimals());
        if (update.json(shape, first.view(), second.view()) == Status::TAKEN) book->remove_contradicted(update);
      }
    }
  }
  if (number == 77) book->truncate(what);
  if (number == 78) *book = Book(*book);
  if (number == 79) book.reset(new Book);
  check(*book);
}

#ifndef LIBFUZZER
std::mt19937_64 chance;

unsigned below(unsigned n) { return unsigned(chance() % n); }

std::string some_number() {
  std::string text = std::to_string(chance() >> below(64));
  if (below(2)) text = std::to_string(below(300));
  if (below(2)) text += "." + std::to_string(chance() >> below(64));
  if (below(9) == 0) text += "E" + std::to_string(int(below(40)) - 20);
  return text;
}

std::string some_levels(const Shape& shape) {
  std::string out = "[";
  for (unsigned count = below(below(8) ? 8 : 200); count--;) {
    const std::string price = some_number(), size = below(4) ? some_number() : "0";
    switch (shape.kind) {
      case Shape::Kind::ROWS: out += "[\"" + price + "\",\"" + size + (shape.more ? "\",\"0\",1]" : "\"]"); break;
      case Shape::Kind::OBJECTS: out += "{\"p\":" + price + ", \"q\":" + size + "}"; break;
      case Shape::Kind::SIDED:
        out += std::string("{\"s\":\"") + "ab"[below(2)] + "\",\"p\":\"" + price + "\",\"t\":\"x\",\"q\":\"" + size + "\"}";
        break;
      case Shape::Kind::UNITS:
        out += "{\"p\":" + price + ",\"x\":" + some_number() + ",\"q\":" + size + ",\"y\":" + some_number() + "}";
        break;
    }
    if (count) out += ",";
  }
  return out + "]";
}

std::string some_input() {
  static const char ALPHABET[] = "\"[]{},:.0123456789eE-+ \\\npqsxyab\x00\xff";
  std::string out;
  out.push_back(char(below(256)));
  out.push_back(char(below(256)));
  const Shape& shape = SHAPES[static_cast<unsigned char>(out[0]) % KINDS];
  out += static_cast<unsigned char>(out[0]) >= 250 ? some_number() + some_number() : some_levels(shape);
  if (shape.kind == Shape::Kind::ROWS || shape.kind == Shape::Kind::OBJECTS) out += "\n" + some_levels(shape);
  for (unsigned edits = below(3) ? 0 : below(4); edits-- && out.size() > 3;) {
    const std::size_t at = 2 + below(unsigned(out.size() - 2));
    const char letter = ALPHABET[below(sizeof ALPHABET - 1)];
    switch (below(4)) {
      case 0: out[at] = letter; break;
      case 1: out.erase(at, 1 + below(4)); break;
      case 2: out.insert(at, 1, letter); break;
      default: out.resize(at);
    }
  }
  return out;
}
#endif

}  // namespace

#ifdef LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  one(data, size);
  return 0;
}
#else
int main(int count, char** words) {
  chance.seed(count > 1 ? std::strtoull(words[1], nullptr, 10) : 1);
  const unsigned long inputs = count > 2 ? std::strtoul(words[2], nullptr, 10) : 100'000;
  std::size_t deepest = 0;
  for (unsigned long i = 0; i < inputs; ++i) {
    const std::string input = some_input();
    one(reinterpret_cast<const unsigned char*>(input.data()), input.size());
    deepest = std::max(deepest, book->bids.size());
  }
  std::printf("%lu inputs, up to %zu levels a side\n", inputs, deepest);
}
#endif
