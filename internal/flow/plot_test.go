package flow

import (
	"slices"
	"testing"
	"time"
)

func TestPlotDoublesItsStep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		passed time.Duration
		step   time.Duration
		points int
	}{
		{-time.Second, 2 * time.Second, 1},
		{0, 2 * time.Second, 1},
		{1999 * time.Millisecond, 2 * time.Second, 1},
		{2 * time.Second, 2 * time.Second, 2},
		{119 * time.Second, 2 * time.Second, 60},
		{120 * time.Second, 4 * time.Second, 31},
		{239 * time.Second, 4 * time.Second, 60},
		{240 * time.Second, 8 * time.Second, 31},
		{24 * time.Hour, 2048 * time.Second, 43},
		{290 * 365 * 24 * time.Hour, 2 * time.Second << 27, 35},
	} {
		var p plot
		p.at(0).Delivered = 7
		p.at(c.passed).Dead = 3
		if p.step != c.step || len(p.points) != c.points {
			t.Errorf("after %s: %d points of %s, want %d of %s", c.passed, len(p.points), p.step, c.points, c.step)
		}
		if sum := sumOf(p.points); sum != (Point{7, 3}) {
			t.Errorf("after %s the points sum up to %v", c.passed, sum)
		}
	}
}

func TestPlotMergesNeighbours(t *testing.T) {
	t.Parallel()
	var p plot
	for i := range mostPoints {
		*p.at(time.Duration(i) * firstStep) = Point{Delivered: uint64(i), Dead: 1}
	}
	p.at(mostPoints * firstStep).Delivered = 1000
	var want []Point
	for i := range mostPoints / 2 {
		want = append(want, Point{Delivered: uint64(4*i + 1), Dead: 2})
	}
	if want = append(want, Point{Delivered: 1000}); !slices.Equal(p.points, want) {
		t.Errorf("%v, want %v", p.points, want)
	}
}

func sumOf(points []Point) (sum Point) {
	for _, p := range points {
		sum.Delivered, sum.Dead = sum.Delivered+p.Delivered, sum.Dead+p.Dead
	}
	return sum
}
