package pictures

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	width  = 17 * vg.Centimeter
	height = 9 * vg.Centimeter
)

//go:generate go -C ../../.. run ./internal/bench/cmd/pictures

// Colours that people who see fewer of them can tell apart.
var (
	blue   = color.RGBA{R: 0x00, G: 0x72, B: 0xb2, A: 0xff}
	green  = color.RGBA{R: 0x00, G: 0x9e, B: 0x73, A: 0xff}
	orange = color.RGBA{R: 0xe6, G: 0x9f, B: 0x00, A: 0xff}
	red    = color.RGBA{R: 0xd5, G: 0x5e, B: 0x00, A: 0xff}
	grey   = color.RGBA{R: 0x70, G: 0x70, B: 0x70, A: 0xff}
)

// Draw makes the pictures of a page, by the names of their files.
func Draw(page string) (map[string][]byte, error) {
	t, files := read(page), map[string][]byte{}
	for name, picture := range map[string]func(table) (*plot.Plot, error){
		"start.svg": start, "controller-deaths.svg": deaths, "controller-some.svg": some, "controller-memory.svg": memory, "controller-processor.svg": processor,
	} {
		p, err := picture(t)
		if err != nil {
			return nil, fmt.Errorf("draw %s: %w", name, err)
		}
		c := vgsvg.New(width, height)
		p.Draw(draw.New(c))
		var file bytes.Buffer
		if _, err := c.WriteTo(&file); err != nil {
			return nil, fmt.Errorf("draw %s: %w", name, err)
		}
		files[name] = bytes.ReplaceAll(file.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif"))
	}
	return files, nil
}

// line is figures that belong together, as a line over the numbers of tasks that the tables have.
type line struct {
	name   string
	figure string // with %[1]d where the number of tasks stands
	color  color.Color
}

// start is when a task is how far, ours beside the incumbent's.
func start(t table) (*plot.Plot, error) {
	p := empty("From RunTask on", "", "seconds")
	moments := []struct{ name, figure string }{
		{"Envoy ready", "RunTask → Envoy ready"},
		{"application started", "RunTask → app container started"},
		{"first 200", "RunTask → all checks pass and first 200 through the mesh, no ECS health check"},
		{"first 200, with an\nECS health check at 5 s", "RunTask → all checks pass and first 200 through the mesh, ECS health check at 5 s"},
	}
	var ours, theirs plotter.Values
	var names []string
	for _, m := range moments {
		our, err := t.median(m.figure)
		their, published := t.published(m.figure)
		if err := cmp.Or(err, published); err != nil {
			return nil, err
		}
		ours, theirs, names = append(ours, our), append(theirs, their), append(names, m.name)
	}
	const thick = 0.6 * vg.Centimeter
	for _, bars := range []struct {
		name   string
		values plotter.Values
		color  color.Color
		offset vg.Length
	}{{"the incumbent, as published", theirs, grey, thick / 2}, {"ours", ours, blue, -thick / 2}} {
		b, err := plotter.NewBarChart(bars.values, thick)
		if err != nil {
			return nil, err
		}
		b.Color, b.Offset, b.LineStyle.Width = bars.color, bars.offset, 0
		p.Add(b)
		p.Legend.Add(bars.name, b)
	}
	p.NominalX(names...)
	p.Y.Min = 0
	return p, nil
}

// deaths is how long it takes until nothing is left, against how many die.
func deaths(t table) (*plot.Plot, error) {
	const left = "%[1]d die at once, until nothing of them is left"
	p := empty("All of so many tasks die at once", "tasks", "seconds until nothing of them is left")
	logarithmic(&p.X)
	logarithmic(&p.Y)
	if err := add(p, t,
		line{"before, 3 servers", "before, %[1]d tasks, 3 servers: " + left, orange},
		line{"1 server", "%[1]d tasks, 1 server: " + left, blue},
		line{"3 servers", "%[1]d tasks, 3 servers: " + left, green},
		line{"3 servers, tokens that expire", "%[1]d tasks, 3 servers: with tokens that expire, " + left, grey},
	); err != nil {
		return nil, err
	}
	their, err := t.published(fmt.Sprintf("1000 tasks, 1 server: "+left, 1000))
	if err != nil {
		return nil, err
	}
	return p, dot(p, "the incumbent, as published", plotter.XY{X: 1000, Y: their})
}

// some is how long it takes until nothing is left of the few or the thousand that die, against how many tasks there are.
func some(t table) (*plot.Plot, error) {
	const left = "1000 die at once, until nothing of them is left"
	p := empty("Some of so many tasks die", "tasks", "seconds until nothing of them is left")
	logarithmic(&p.X)
	logarithmic(&p.Y)
	p.Y.Min = 0.01
	return p, add(p, t,
		line{"1,000, before, 3 servers", "before, %[1]d tasks, 3 servers: " + left, orange},
		line{"1,000, 3 servers", "%[1]d tasks, 3 servers: " + left, green},
		line{"1,000, 3 servers, tokens that expire", "%[1]d tasks, 3 servers: with tokens that expire, " + left, grey},
		line{"one, 3 servers", "%[1]d tasks, 3 servers: one dies, until its services and tokens are gone", blue},
	)
}

// memory is what a controller has resident, against how many tasks there are.
func memory(t table) (*plot.Plot, error) {
	p := empty("Resident memory of a controller", "tasks", "MiB")
	logarithmic(&p.X)
	return p, add(p, t,
		line{"most while all die at once", "%[1]d tasks, 3 servers: %[1]d die at once, peak of resident memory", red},
		line{"most in a full look", "%[1]d tasks, 3 servers: a full look, peak of resident memory", green},
		line{"at rest", "%[1]d tasks, 3 servers: at rest, resident memory", blue},
	)
}

// processor is what a controller at rest uses of a core, against how many tasks there are.
func processor(t table) (*plot.Plot, error) {
	p := empty("A controller at rest, with a full look every five minutes", "tasks", "% of a core")
	logarithmic(&p.X)
	const share = "at rest with a full look every five minutes, share of a core"
	return p, add(p, t,
		line{"before", "before, %[1]d tasks, 3 servers: at rest, share of a core", orange},
		line{"1 server", "%[1]d tasks, 1 server: " + share, blue},
		line{"3 servers", "%[1]d tasks, 3 servers: " + share, green},
	)
}

func empty(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = 3 * vg.Millimeter
	for _, text := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle,
	} {
		text.Font.Variant = "Sans"
	}
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, vg.Millimeter
	p.Y.Min = 0
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{Y: 0xe0}, color.Gray{Y: 0xe0}
	p.Add(grid)
	return p
}

// logarithmic has an axis show powers of ten at even distances.
func logarithmic(a *plot.Axis) {
	a.Scale, a.Min = plot.LogScale{}, 0.1
	a.Tick.Marker = plot.TickerFunc(func(low, high float64) (ticks []plot.Tick) {
		for v := 0.001; v <= high*1.001; v *= 10 {
			if v >= low*0.999 {
				ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'g', 6, 64)})
			}
		}
		return ticks
	})
}

// add draws lines. The limits of the axes grow with them.
func add(p *plot.Plot, t table, lines ...line) error {
	for _, l := range lines {
		var points plotter.XYs
		for _, n := range t.sizes(l.figure) {
			median, err := t.median(fmt.Sprintf(l.figure, n))
			if err != nil {
				return err
			}
			points = append(points, plotter.XY{X: float64(n), Y: median})
		}
		if len(points) == 0 {
			return fmt.Errorf("no table has a figure %q, for any number of tasks", l.figure)
		}
		curve, marks, err := plotter.NewLinePoints(points)
		if err != nil {
			return err
		}
		curve.Color, curve.Width = l.color, vg.Points(1.5)
		marks.Color, marks.Shape, marks.Radius = l.color, draw.CircleGlyph{}, vg.Points(2.5)
		p.Add(curve, marks)
		p.Legend.Add(l.name, curve, marks)
	}
	p.X.Min = 100
	return nil
}

// dot draws one point.
func dot(p *plot.Plot, name string, at plotter.XY) error {
	mark, err := plotter.NewScatter(plotter.XYs{at})
	if err != nil {
		return err
	}
	mark.Color, mark.Shape, mark.Radius = red, draw.BoxGlyph{}, vg.Points(3)
	p.Add(mark)
	p.Legend.Add(name, mark)
	return nil
}
