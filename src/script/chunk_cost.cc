// SPDX-License-Identifier: Apache-2.0
#include "script/chunk_cost.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace tidegate::script {
namespace {

enum class Token : uint8_t {
  End,  // of the text
  Name,
  Comma,
  Equals,
  Open,  // a bracket of any kind
  Close,
  Dot,
  Colon,
  Jump,  // and, or, elseif, break, goto, ::
  Function,
  Local,
  For,
  While,
  Do,
  If,
  Repeat,
  BlockEnd,  // end
  Until,
  Word,  // any other
  Other,
};

constexpr std::pair<std::string_view, Token> kWords[] = {
    {"and", Token::Jump},    {"break", Token::Jump},    {"do", Token::Do},
    {"else", Token::Word},   {"elseif", Token::Jump},   {"end", Token::BlockEnd},
    {"false", Token::Word},  {"for", Token::For},       {"function", Token::Function},
    {"goto", Token::Jump},   {"if", Token::If},         {"in", Token::Word},
    {"local", Token::Local}, {"nil", Token::Word},      {"not", Token::Word},
    {"or", Token::Jump},     {"repeat", Token::Repeat}, {"return", Token::Word},
    {"then", Token::Word},   {"true", Token::Word},     {"until", Token::Until},
    {"while", Token::While},
};

constexpr std::array<bool, 256> name_characters() {
  std::array<bool, 256> is{};
  for (int c = 0; c < 256; ++c) {
    is[static_cast<size_t>(c)] = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                 (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
  }
  return is;
}
constexpr auto kInName = name_characters();

bool in_name(char c) {
  return kInName[static_cast<unsigned char>(c)];
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Where the words with that first letter begin in kWords.
constexpr std::array<uint8_t, 257> first_words() {
  std::array<uint8_t, 257> first{};
  for (size_t c = 0; c < first.size(); ++c) {
    first[c] = 0;
    for (const auto& [text, token] : kWords) {
      if (static_cast<unsigned char>(text[0]) < c) ++first[c];
    }
  }
  return first;
}
constexpr auto kFirstWords = first_words();

Token token_of(std::string_view word) {
  if (word.size() < 2 || word.size() > 8) return Token::Name;
  const auto letter = static_cast<unsigned char>(word[0]);
  for (size_t i = kFirstWords[letter]; i < kFirstWords[letter + 1u]; ++i) {
    if (kWords[i].first == word) return kWords[i].second;
  }
  return Token::Name;
}

// Takes a text apart as the compiler does.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  Token next() {
    while (at_ < end_) {
      const char c = *at_;
      if (in_name(c)) return is_digit(c) ? number() : word();
      ++at_;
      switch (c) {
        case ' ':
        case '\t':
        case '\r':
        case '\n':
        case '\v':
        case '\f':
          continue;
        case '"':
        case '\'':
          return string(c);
        case '-':
          if (!take('-')) return Token::Other;
          comment();
          continue;
        default:
          return sign(c);
      }
    }
    return Token::End;
  }

 private:
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  Token word() {
    const char* begin = at_;
    while (at_ < end_ && in_name(*at_)) ++at_;
    return token_of({begin, static_cast<size_t>(at_ - begin)});
  }

  Token number() {
    char exponent = 'e';
    if (take('0') && at_ < end_ && (*at_ | 0x20) == 'x') exponent = 'p';
    for (; at_ < end_; ++at_) {
      const bool is_sign = (*at_ == '-' || *at_ == '+') && (at_[-1] | 0x20) == exponent;
      if (!in_name(*at_) && *at_ != '.' && !is_sign) break;
    }
    return Token::Other;
  }

  Token string(char quote) {
    while (at_ < end_ && *at_ != quote) at_ += *at_ == '\\' && end_ - at_ > 1 ? 2 : 1;
    take(quote);
    return Token::Other;
  }

  // Behind the first '['. False: it is no long bracket.
  bool long_bracket() {
    const char* p = at_;
    while (p < end_ && *p == '=') ++p;
    if (p == end_ || *p != '[') return false;
    const auto level = p - at_;
    for (at_ = p + 1; at_ < end_;) {
      if (*at_++ != ']') continue;
      const char* close = at_;
      while (close < end_ && *close == '=') ++close;
      if (close - at_ == level && close < end_ && *close == ']') {
        at_ = close + 1;
        return true;
      }
      at_ = close;
    }
    return true;
  }

  void comment() {
    if (take('[') && long_bracket()) return;
    while (at_ < end_ && *at_ != '\n' && *at_ != '\r') ++at_;
  }

  // Of one or more characters, of which `c` is the first.
  Token sign(char c) {
    switch (c) {
      case ',':
        return Token::Comma;
      case '=':
        return take('=') ? Token::Other : Token::Equals;
      case '<':
      case '>':
      case '~':
        take('=');
        return Token::Other;
      case '(':
      case '{':
        return Token::Open;
      case '[':
        return long_bracket() ? Token::Other : Token::Open;
      case ')':
      case '}':
      case ']':
        return Token::Close;
      case ':':
        return take(':') ? Token::Jump : Token::Colon;
      case '.':
        if (at_ < end_ && is_digit(*at_)) return number();
        if (!take('.')) return Token::Dot;
        take('.');
        return Token::Other;
      default:
        return Token::Other;
    }
  }

  const char* at_;
  const char* end_;
};

// Keeps the books of which variables are in sight.
class Scopes {
 public:
  ChunkCost cost;

  void take(Token token) {
    if (declare(token)) return;
    switch (token) {
      case Token::Name:
        count_name();
        break;
      case Token::Comma:
        // Where it separates variables that are assigned to; in brackets it does not.
        if (brackets_ == 0) cost.comparisons += 2 * ++targets_;
        break;
      case Token::Open:
        ++brackets_;
        break;
      case Token::Close:
        if (brackets_ > 0) --brackets_;
        break;
      case Token::Dot:
      case Token::Colon:
      case Token::Other:
        break;
      default:
        targets_ = 0;
        keyword(token);
    }
    before_ = token;
  }

 private:
  // All that a function can have of outer variables, which are looked through as well.
  static constexpr size_t kMaxUpvalues = 60;

  struct Block {
    size_t locals = 0;
    size_t upvalues = 0;
    size_t pending = 0;   // variables of a `for`, which are in sight behind its `do`
    size_t brackets = 0;  // around it
    bool awaits_do = false;
  };
  enum class Declares : uint8_t { Nothing, Local, For, FunctionName, Parameters };

  // Of fields only the table is looked for.
  void count_name() {
    if (before_ != Token::Dot && before_ != Token::Colon) cost.comparisons += 1 + visible_;
  }

  // True: the token is part of a declaration, and nothing else.
  bool declare(Token token) {
    if (declares_ == Declares::Nothing) [[likely]]
      return false;
    const bool is_part = take_declared(token);
    if (is_part) before_ = token;
    return is_part;
  }

  bool take_declared(Token token) {
    // Of two names in a row the second belongs to the next statement.
    const bool is_name = token == Token::Name && before_ != Token::Name;
    switch (declares_) {
      case Declares::Local:
        if (is_name || token == Token::Function) add(1);
        break;
      case Declares::For:
        if (is_name) ++blocks_.back().pending;
        break;
      case Declares::FunctionName:
        if (is_name) count_name();
        if (token == Token::Colon) add(1);  // self
        if (is_name || token == Token::Colon || token == Token::Dot) return true;
        declares_ = token == Token::Open ? Declares::Parameters : Declares::Nothing;
        return token == Token::Open;
      case Declares::Parameters:
        if (is_name) add(1);
        if (token == Token::Close) declares_ = Declares::Nothing;
        if (token == Token::Close || token == Token::Other) return true;  // "..." is Other
        break;
      case Declares::Nothing:
        break;
    }
    if (is_name || token == Token::Comma) return true;
    declares_ = Declares::Nothing;
    return false;
  }

  void keyword(Token token) {
    switch (token) {
      case Token::Jump:
        ++cost.jumps;
        break;
      case Token::Local:
        declares_ = Declares::Local;
        break;
      case Token::Function:
        push(false);
        blocks_.back().upvalues = std::min(visible_, kMaxUpvalues);
        visible_ += blocks_.back().upvalues;
        declares_ = Declares::FunctionName;
        break;
      case Token::For:
        push(true);
        blocks_.back().pending = 3;  // of its own
        declares_ = Declares::For;
        break;
      case Token::While:
        push(true);
        break;
      case Token::Do:
        begin_do();
        break;
      case Token::If:
      case Token::Repeat:
        push(false);
        break;
      case Token::BlockEnd:
        pop(false);
        break;
      case Token::Until:
        pop(true);  // its condition sees them still
        break;
      default:
        break;
    }
  }

  void push(bool awaits_do) {
    Block& block = blocks_.emplace_back();
    block.brackets = std::exchange(brackets_, 0);
    block.awaits_do = awaits_do;
    cost.depth = std::max(cost.depth, blocks_.size());
  }

  void begin_do() {
    if (blocks_.empty() || !blocks_.back().awaits_do) return push(false);
    blocks_.back().awaits_do = false;
    add(std::exchange(blocks_.back().pending, 0));
  }

  void pop(bool keeps_locals) {
    if (blocks_.empty()) return;
    const Block block = blocks_.back();
    blocks_.pop_back();
    brackets_ = block.brackets;
    visible_ -= block.locals + block.upvalues;
    if (keeps_locals) add(block.locals);
  }

  void add(size_t locals) {
    visible_ += locals;
    if (!blocks_.empty()) blocks_.back().locals += locals;
  }

  std::vector<Block> blocks_;
  size_t visible_ = 0;  // variables
  size_t targets_ = 0;  // of an assignment
  size_t brackets_ = 0;
  Token before_ = Token::Other;
  Declares declares_ = Declares::Nothing;
};

}  // namespace

ChunkCost cost_of_chunk(std::string_view text) {
  Lexer lexer(text);
  Scopes scopes;
  for (Token token = lexer.next(); token != Token::End; token = lexer.next()) {
    scopes.take(token);
    if (scopes.cost.depth > 250) break;
  }
  return scopes.cost;
}

}  // namespace tidegate::script
