package sandbox

// ring remembers the newest cap values, numbered 1, 2, … in the order they came.
type ring[T any] struct {
	cap    int
	added  int
	values []T
}

func (r *ring[T]) next() int { return r.added + 1 }

// add reports whether an older value had to go.
func (r *ring[T]) add(value T) bool {
	r.added++
	if len(r.values) < r.cap {
		r.values = append(r.values, value)
		return false
	}
	r.values[(r.added-1)%r.cap] = value
	return true
}

func (r *ring[T]) after(seq, limit int) []T {
	first := max(seq, r.added-len(r.values)) // the number before the first wanted
	n := min(r.added-first, limit)
	values := make([]T, 0, max(n, 0))
	for i := range n {
		values = append(values, r.values[(first+i)%r.cap])
	}
	return values
}
