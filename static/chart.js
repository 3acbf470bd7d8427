// The candles of a bot, its levels and its fills. Without this file the table below says the same.
(() => {
  "use strict";
  const box = document.getElementById("candles");
  if (!box) return;

  const draw = () => {
    const library = window.LightweightCharts;
    const root = document.documentElement;
    const table = document.getElementById("candle-table");
    const legend = box.querySelector(".legend");
    const colour = (name) => getComputedStyle(box.querySelector(`.c-${name}`)).color;
    const STYLES = { entry: "Solid", stop: "Dashed", trailing: "Dotted", target: "LargeDashed", liquidation: "SparseDotted", last: "SparseDotted", buy: "Dotted", sell: "Dotted" };
    const narrow = box.clientWidth < 560;
    // Pixels of a candle with its margin, and the candles' places kept free for the names of the lines.
    const [WIDTH, RIGHT] = narrow ? [6, 9] : [7, 16];
    const FEWEST = 40;
    // Places of candles that nobody saw: a long gap is drawn no wider than this.
    const WIDEST_GAP = 40;
    // Lines further away than this many times the height of the candles do not squeeze them.
    const REACH = 5;

    // -- What is shown: candles by opening time (ms), levels and fills as the server told them -------
    let have = null;
    let stale = true; // all has to be asked for
    let bars = new Map();
    let levels = [];
    let fills = [];
    let shift = 0; // seconds from UTC to the viewer's zone: days begin where the viewer's do
    let daily = false;

    // -- Numbers and times in the page's language and zone -------------------------------------------
    let digits = new Intl.NumberFormat(root.lang);
    const percent = new Intl.NumberFormat(root.lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    const signed = (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${percent.format(Math.abs(value))} %`;
    // English dates as on the rest of the site: 24 Nov.
    const dated = root.lang === "en" ? "en-GB" : root.lang;
    const zoned = (options) => {
      const clock = { hourCycle: "h23", timeZone: root.dataset.zone };
      const inZone = new Intl.DateTimeFormat(dated, { ...clock, ...options });
      const inUtc = new Intl.DateTimeFormat(dated, { ...clock, timeZone: "UTC", ...options });
      return (time) => (daily ? inUtc : inZone).format((time - shift) * 1000);
    };
    const year = zoned({ year: "numeric" });
    const month = zoned({ month: "short" });
    const day = zoned({ day: "numeric", month: "short" });
    const minute = zoned({ hour: "2-digit", minute: "2-digit" });
    const moment = zoned({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
    const mark = (time, kind) => [year, month, day][kind]?.(time) ?? minute(time);
    const when = (time) => (daily ? day : moment)(time);
    const offset = (ms) => {
      const format = new Intl.DateTimeFormat("en-US", { timeZone: root.dataset.zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" });
      const part = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
      const local = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
      return Math.round((local - ms) / 60000) * 60;
    };

    // -- The drawing ---------------------------------------------------------------------------------
    const chart = library.createChart(box.querySelector(".drawing"), {
      autoSize: true,
      layout: { attributionLogo: false, fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 12 },
      localization: { locale: root.lang, timeFormatter: when },
      timeScale: { timeVisible: true, rightOffset: RIGHT, tickMarkFormatter: mark, borderVisible: false },
      rightPriceScale: { borderVisible: false, minimumWidth: 80, entireTextOnly: true, scaleMargins: { top: narrow ? 0.22 : 0.14, bottom: 0.06 } },
      crosshair: { mode: library.CrosshairMode.Normal },
      handleScroll: { vertTouchDrag: false },
    });
    const reach = (told) => {
      const found = told();
      const range = found && found.priceRange;
      if (!range) return found;
      const height = range.maxValue - range.minValue || range.maxValue / 1000;
      const near = levels.filter((level) => !level.tone).map((level) => Number(level.price));
      const kept = near.filter((price) => price > range.minValue - REACH * height && price < range.maxValue + REACH * height);
      return { ...found, priceRange: { minValue: Math.min(range.minValue, ...kept), maxValue: Math.max(range.maxValue, ...kept) } };
    };
    const silent = { lastValueVisible: false, priceLineVisible: false };
    const series = chart.addSeries(library.CandlestickSeries, { ...silent, autoscaleInfoProvider: reach });
    // Fills hang on an invisible line: one may lie in a candle that has not closed yet.
    const places = chart.addSeries(library.LineSeries, { ...silent, lineVisible: false, pointMarkersVisible: false, crosshairMarkerVisible: false });
    const marks = library.createSeriesMarkers(places, []);
    const lines = new Map();

    const paint = () => {
      const [rise, fall, ink, grid] = ["rise", "fall", "ink", "grid"].map(colour);
      chart.applyOptions({
        layout: { background: { type: library.ColorType.Solid, color: "transparent" }, textColor: ink },
        grid: { vertLines: { color: grid }, horzLines: { color: grid } },
        crosshair: { vertLine: { color: ink, labelBackgroundColor: ink }, horzLine: { color: ink, labelBackgroundColor: ink } },
      });
      // A rising candle is hollow, a falling one filled: they differ without colour, too.
      series.applyOptions({ upColor: "transparent", borderUpColor: rise, wickUpColor: rise, downColor: fall, borderDownColor: fall, wickDownColor: fall });
      drawLevels();
      drawFills();
    };

    const drawLevels = () => {
      const kinds = new Set(levels.map((level) => level.kind));
      for (const [kind, line] of lines) {
        if (!kinds.has(kind)) series.removePriceLine(line);
        if (!kinds.has(kind)) lines.delete(kind);
      }
      for (const { kind, label, short, price, tone = kind } of levels) {
        const options = { price: Number(price), title: narrow ? short : label, color: colour(tone), lineWidth: 1, lineStyle: library.LineStyle[STYLES[tone]], axisLabelVisible: true };
        if (lines.has(kind)) lines.get(kind).applyOptions(options);
        else lines.set(kind, series.createPriceLine(options));
      }
    };

    const drawFills = () => {
      const points = new Map(fills.map((fill) => [timeOf(fill.bar), Number(fill.price)]));
      places.setData([...points].sort((one, other) => one[0] - other[0]).map(([time, value]) => ({ time, value })));
      marks.setMarkers(fills.map((fill) => {
        const buys = fill.side === "buy";
        return {
          time: timeOf(fill.bar),
          price: Number(fill.price),
          position: buys ? "atPriceBottom" : "atPriceTop",
          shape: buys ? "arrowUp" : "arrowDown",
          color: colour(buys ? "buy" : "sell"),
        };
      }));
    };

    const timeOf = (ms) => ms / 1000 + shift;
    const pointOf = ([at, open, high, low, close]) => ({ time: timeOf(at), open, high, low, close });
    /** The places between two candles that nobody saw, as points without a price. */
    const gap = (before, at, length) => {
      const missing = before === undefined ? 0 : Math.min((at - before) / length - 1, WIDEST_GAP);
      return Array.from({ length: missing }, (_, number) => ({ time: timeOf(before + (number + 1) * length) }));
    };

    // -- The legend: the candle under the pointer, or the newest -------------------------------------
    const describe = (point) => {
      const bar = point && point.data;
      if (!bar || bar.open === undefined) return legend.replaceChildren();
      const rows = box.dataset.legend.replace(/\{(\w+)\}/g, (_, name) => digits.format(bar[name]));
      const change = `${bar.close >= bar.open ? "▲" : "▼"} ${signed((bar.close / bar.open - 1) * 100)}`;
      const here = fills.filter((fill) => timeOf(fill.bar) === bar.time).slice(-3);
      const texts = [`${when(bar.time)} ${change}`, rows, ...here.map((fill) => `${fill.side === "buy" ? "▲" : "▼"} ${fill.text}`)];
      legend.replaceChildren(...texts.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    };
    const newest = () => {
      const last = [...bars.values()].pop();
      return last && { data: pointOf(last) };
    };
    chart.subscribeCrosshairMove((event) => {
      const data = event.time !== undefined && event.seriesData.get(series);
      describe(data ? { data } : newest());
    });

    // -- New data: whole at first, then candle by candle ---------------------------------------------
    const setAll = (told) => {
      const range = have && have.key === told.key ? chart.timeScale().getVisibleRange() : null;
      bars = new Map(told.candles.map((row) => [row[0], row]));
      const last = told.candles.at(-1);
      daily = told.length >= 86400000;
      shift = last && !daily ? offset(last[0]) : 0;
      digits = new Intl.NumberFormat(root.lang, { minimumFractionDigits: told.places, maximumFractionDigits: told.places });
      const priceFormat = { type: "custom", minMove: 10 ** -told.places, formatter: (price) => digits.format(price) };
      series.applyOptions({ priceFormat });
      places.applyOptions({ priceFormat });
      chart.applyOptions({ timeScale: { timeVisible: !daily } });
      series.setData(told.candles.flatMap((row, number) => [...gap(told.candles[number - 1]?.[0], row[0], told.length), pointOf(row)]));
      if (range) chart.timeScale().setVisibleRange(range);
      else {
        const room = box.clientWidth / WIDTH - RIGHT;
        chart.timeScale().setVisibleLogicalRange({ from: bars.size - Math.max(Math.min(room, bars.size), FEWEST), to: bars.size - 1 + RIGHT });
      }
    };
    const add = (told) => {
      let before = [...bars.keys()].pop();
      for (const row of told.candles) {
        for (const point of gap(before, row[0], told.length)) series.update(point);
        series.update(pointOf(row));
        bars.set(row[0], row);
        before = row[0];
      }
      for (const at of bars.keys()) if (at < told.oldest) bars.delete(at);
    };
    /** Show what the server told; false if that does not fit to what is here, so that all is asked for. */
    const show = (told, whole) => {
      if (!whole && told.key !== have.key) return false;
      if (whole) setAll(told);
      else add(told);
      if (!whole && bars.size !== told.count) return false;
      const isSame = !whole && JSON.stringify(told.fills) === JSON.stringify(fills);
      [levels, fills] = [told.levels, told.fills];
      drawLevels();
      if (!isSame) drawFills();
      describe(newest());
      if (bars.size) {
        box.querySelector(".empty")?.remove();
        box.setAttribute("role", "img");
        box.setAttribute("aria-label", told.label);
      }
      have = { key: told.key, v: told.v, newest: [...bars.keys()].pop() };
      stale = have.newest === undefined;
      return true;
    };

    // -- Asking: after a changed panel, else at the server's pace; never in a hidden tab -------------
    let timer = 0;
    let every = 60;
    let asked = -Infinity;
    let asking = false;
    let again = false;
    let over = false;
    const ask = async () => {
      again = asking;
      if (asking || over || document.hidden) return;
      asking = true;
      asked = performance.now();
      clearTimeout(timer);
      const whole = stale;
      const query = whole ? "" : `?since=${have.newest + 1}&v=${have.v}`;
      try {
        // No connection, or no answer in time: the panel says so, and this asks again.
        const answer = await fetch(box.dataset.src + query, { redirect: "manual", signal: AbortSignal.timeout(8000) }).catch(() => null);
        // Signed out, or the bot is gone: the panel leads on.
        over = answer !== null && (answer.type === "opaqueredirect" || answer.status === 404);
        if (answer && answer.status === 200) take(await answer.json(), whole);
      } finally {
        asking = false;
        if (again) ask();
        else if (!over) timer = setTimeout(ask, every * 1000);
      }
    };
    const take = (told, whole) => {
      every = told.every;
      if (show(told, whole)) refreshTable();
      else stale = again = true;
    };

    let tableOf = null;
    const refreshTable = () => {
      if (!table.open || tableOf === have?.v) return;
      tableOf = have?.v;
      htmx.ajax("GET", `${box.dataset.src}?table`, { target: "#candle-table > div", swap: "morph:innerHTML" });
    };
    table.addEventListener("toggle", refreshTable);

    document.addEventListener("htmx:afterRequest", (event) => {
      const { elt, xhr } = event.detail;
      if (elt.id === "panel" && xhr && xhr.status === 200) ask();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && performance.now() - asked >= every * 1000) ask();
    });

    // -- The theme: as the page's, also when it changes ----------------------------------------------
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
    new MutationObserver(paint).observe(root, { attributeFilter: ["data-theme"] });
    paint();
    ask();
  };

  // The library is fetched after all else, and only where the chart is about to be seen.
  const fetchLibrary = () => document.head.append(Object.assign(document.createElement("script"), { src: box.dataset.library, onload: draw }));
  const near = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    near.disconnect();
    fetchLibrary();
  }, { rootMargin: "300px" });
  const watch = () => near.observe(box);
  if (document.readyState === "complete") watch();
  else addEventListener("load", watch, { once: true });
})();
