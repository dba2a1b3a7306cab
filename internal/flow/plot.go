package flow

import "time"

const (
	mostPoints = 60
	firstStep  = 2 * time.Second
)

// plot is what ended when, since the watch began, in a bounded number of
// points: when they are used up two neighbours become one, and a step is
// twice as long.
type plot struct {
	step   time.Duration
	points []Point
}

// at is the point of the moment so long after the beginning; the plot reaches
// there from now on.
func (p *plot) at(passed time.Duration) *Point {
	if p.step == 0 {
		p.step = firstStep
	}
	passed = max(passed, 0)
	for passed/p.step >= mostPoints {
		p.halve()
	}
	place := int(passed / p.step)
	for len(p.points) <= place {
		p.points = append(p.points, Point{})
	}
	return &p.points[place]
}

func (p *plot) halve() {
	for i, point := range p.points {
		if i%2 == 0 {
			p.points[i/2] = point
			continue
		}
		p.points[i/2].Delivered += point.Delivered
		p.points[i/2].Dead += point.Dead
	}
	p.points = p.points[:(len(p.points)+1)/2]
	p.step *= 2
}
