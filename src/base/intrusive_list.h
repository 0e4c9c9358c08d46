// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>

namespace tidegate {

/// A node that its object embeds (by derivation) to stand in one List<T>. Unlinks itself when
/// destroyed. `Tag` is the object's class, or something else where it stands in several lists.
template <class Tag>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }

  bool linked() const { return next_ != nullptr; }
  void unlink() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <class T, class U>
  friend class List;
  ListNode* previous_ = nullptr;
  ListNode* next_ = nullptr;
};

/// Doubly linked list of objects it does not own; linking and unlinking never allocate.
template <class T, class Tag = T>
class List {
 public:
  using Node = ListNode<Tag>;

  List() { head_.next_ = head_.previous_ = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (!empty()) front().Node::unlink();
  }

  bool empty() const { return head_.next_ == &head_; }
  T& front() { return static_cast<T&>(*head_.next_); }
  T& back() { return static_cast<T&>(*head_.previous_); }
  void push_back(T& item) { link(item, *head_.previous_, head_); }
  void push_front(T& item) { link(item, head_, *head_.next_); }
  T& pop_front() {
    T& item = front();
    static_cast<Node&>(item).unlink();
    return item;
  }
  /// Calls `visit` for each; it may unlink or destroy the item it is given, and no other.
  template <class Visit>
  void for_each(Visit&& visit) {
    for (Node* at = head_.next_; at != &head_;) {
      Node* next = at->next_;
      visit(static_cast<T&>(*at));
      at = next;
    }
  }

 private:
  static void link(Node& node, Node& before, Node& after) {
    node.previous_ = &before;
    node.next_ = &after;
    before.next_ = after.previous_ = &node;
  }
  Node head_;
};

}  // namespace tidegate
