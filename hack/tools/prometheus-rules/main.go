// prometheus-rules RULES < CASES prints which alerts of a file of rules fire over given series, by Prometheus' own engine
// and rules: what `promtool test rules` is made of, without the service discoveries that promtool brings along.
//
// A JSON list of cases comes in. Each has series in promtool's notation, such as {"series": "up", "values": "1x60 0x60"},
// one value for each minute, and the minutes until which the rules are evaluated. A JSON list comes out: of each case the
// alerts that fired, with their labels and annotations, and the minutes at which they fired first and last.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

const step = time.Minute

type given struct {
	Series []struct {
		Series string `json:"series"`
		Values string `json:"values"`
	} `json:"series"`
	Minutes int `json:"minutes"`
}

type fired struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	First       int               `json:"first"`
	Last        int               `json:"last"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 {
		return errors.New("usage: prometheus-rules RULES < CASES")
	}
	var cases []given
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		return err
	}
	answers := make([][]*fired, len(cases))
	for number, one := range cases {
		var err error
		if answers[number], err = evaluate(os.Args[1], one); err != nil {
			return fmt.Errorf("case %d: %w", number, err)
		}
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}

func evaluate(file string, one given) ([]*fired, error) {
	var load strings.Builder
	fmt.Fprintf(&load, "load %s\n", model.Duration(step))
	for _, series := range one.Series {
		fmt.Fprintf(&load, "  %s %s\n", series.Series, series.Values)
	}
	loader, err := promqltest.NewLazyLoader(load.String(), promqltest.LazyLoaderOpts{})
	if err != nil {
		return nil, err
	}
	defer loader.Close()
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:  rules.EngineQueryFunc(loader.QueryEngine(), loader.Storage()),
		Appendable: loader.Storage(),
		Queryable:  loader.Storage(),
		Context:    context.Background(),
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		Logger:     promslog.NewNopLogger(),
	})
	groups, problems := manager.LoadGroups(step, labels.EmptyLabels(), "", nil, false, file)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	found := []*fired{}
	byLabels := map[string]*fired{}
	for minute := 0; minute <= one.Minutes; minute++ {
		now := time.Unix(0, 0).Add(time.Duration(minute) * step).UTC()
		var failure error
		loader.WithSamplesTill(now, func(err error) {
			failure = err
			if failure != nil {
				return
			}
			for _, group := range groups {
				group.Eval(loader.Context(), now)
				for _, rule := range group.Rules() {
					if err := rule.LastError(); err != nil {
						failure = fmt.Errorf("%s: %w", rule.Name(), err)
						return
					}
				}
			}
		})
		if failure != nil {
			return nil, failure
		}
		for _, group := range groups {
			for _, rule := range group.AlertingRules() {
				for _, alert := range rule.ActiveAlerts() {
					if alert.State != rules.StateFiring {
						continue
					}
					key := alert.Labels.String()
					if byLabels[key] == nil {
						byLabels[key] = &fired{Labels: alert.Labels.Map(), Annotations: alert.Annotations.Map(), First: minute}
						found = append(found, byLabels[key])
					}
					byLabels[key].Last = minute
				}
			}
		}
	}
	return found, nil
}
