"""Answers to the sheet of chapter 13."""

from tests.answers import right, wrong

RENUMBER = [
    wrong(
        "counts from 1",
        "the numbers start at 0, not at 1",
        """
        def renumber(ids):
            old, new = torch.unique(ids, return_inverse=True)
            return new + 1, old
        """,
    ),
    wrong(
        "numbered by first appearance",
        "a smaller id gets a smaller number",
        """
        def renumber(ids):
            first = list(dict.fromkeys(ids.flatten().tolist()))
            new = [first.index(id) for id in ids.flatten().tolist()]
            return torch.tensor(new).view(ids.shape), torch.tensor(first)
        """,
    ),
    wrong(
        "sorted, but repeated ids kept",
        "an id that comes twice must not use up two numbers",
        """
        def renumber(ids):
            old = ids.flatten().sort().values
            return torch.searchsorted(old, ids), old
        """,
    ),
    wrong(
        "the shape is lost",
        "keep the shape of the batch",
        """
        def renumber(ids):
            old, new = torch.unique(ids, return_inverse=True)
            return new.flatten(), old
        """,
    ),
    right(
        "with a dictionary",
        """
        def renumber(ids):
            old = sorted(set(ids.flatten().tolist()))
            number = {id: n for n, id in enumerate(old)}
            new = torch.tensor([number[id] for id in ids.flatten().tolist()])
            return new.reshape(ids.shape), torch.tensor(old)
        """,
    ),
    right(
        "by comparing with every old id",
        """
        def renumber(ids):
            old = torch.unique(ids)
            return (ids[..., None] > old).sum(-1), old
        """,
    ),
]

LAYER = [
    wrong(
        "the maps are made in forward",
        "the layer has no parameter widen.weight, widen.bias, narrow.weight",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.norm = nn.LayerNorm(d_model)
                self.d_model, self.d_ff = d_model, d_ff

            def forward(self, x):
                h = nn.Linear(self.d_model, self.d_ff)(self.norm(x))
                return x + nn.Linear(self.d_ff, self.d_model)(F.relu(h))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    wrong(
        "made anew in forward and kept under the right names",
        "before its first call the layer has no parameter",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.norm = nn.LayerNorm(d_model)
                self.d_model, self.d_ff = d_model, d_ff

            def forward(self, x):
                self.widen = nn.Linear(self.d_model, self.d_ff)
                self.narrow = nn.Linear(self.d_ff, self.d_model)
                return x + self.narrow(F.relu(self.widen(self.norm(x))))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    wrong(
        "no residual",
        "the residual is missing",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.norm = nn.LayerNorm(d_model)
                self.widen = nn.Linear(d_model, d_ff)
                self.narrow = nn.Linear(d_ff, d_model)

            def forward(self, x):
                return self.narrow(F.relu(self.widen(self.norm(x))))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    wrong(
        "post-norm",
        "the norm comes before the maps",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.norm = nn.LayerNorm(d_model)
                self.widen = nn.Linear(d_model, d_ff)
                self.narrow = nn.Linear(d_ff, d_model)

            def forward(self, x):
                return self.norm(x + self.narrow(F.relu(self.widen(x))))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    wrong(
        "the residual adds the normed copy",
        "the residual adds x as it came",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.norm = nn.LayerNorm(d_model)
                self.widen = nn.Linear(d_model, d_ff)
                self.narrow = nn.Linear(d_ff, d_model)

            def forward(self, x):
                x = self.norm(x)
                return x + self.narrow(F.relu(self.widen(x)))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    wrong(
        "the norm is kept but not used",
        "gets no gradient",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.norm = nn.LayerNorm(d_model)
                self.widen = nn.Linear(d_model, d_ff)
                self.narrow = nn.Linear(d_ff, d_model)

            def forward(self, x):
                return x + self.narrow(F.relu(self.widen(x)))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    right(
        "step by step",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.widen = nn.Linear(d_model, d_ff)
                self.narrow = nn.Linear(d_ff, d_model)
                self.norm = nn.LayerNorm(d_model)

            def forward(self, x):
                h = self.norm(x)
                h = self.widen(h)
                h = torch.clamp(h, min=0)
                return self.narrow(h) + x

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    right(
        "with the course's own norm",
        """
        from dot2gpt.block import LayerNorm

        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.norm = LayerNorm(d_model)
                self.widen = nn.Linear(d_model, d_ff)
                self.narrow = nn.Linear(d_ff, d_model)

            def forward(self, x):
                return x + self.narrow(nn.ReLU()(self.widen(self.norm(x))))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
    wrong(
        "made in the first call",
        "before its first call the layer has no parameter norm.weight",
        """
        class Layer(nn.Module):
            def __init__(self, d_ff):
                super().__init__()
                self.d_ff = d_ff

            def forward(self, x):
                if not hasattr(self, "norm"):
                    d_model = x.shape[-1]
                    self.norm = nn.LayerNorm(d_model)
                    self.widen = nn.Linear(d_model, self.d_ff)
                    self.narrow = nn.Linear(self.d_ff, d_model)
                return x + self.narrow(F.relu(self.widen(self.norm(x))))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_ff)
        """,
    ),
    wrong(
        "made in the constructor, and anew in forward",
        "two calls disagree",
        """
        class Layer(nn.Module):
            def __init__(self, d_model, d_ff):
                super().__init__()
                self.sizes = d_model, d_ff
                self.norm = nn.LayerNorm(d_model)
                self.make()

            def make(self):
                d_model, d_ff = self.sizes
                self.widen = nn.Linear(d_model, d_ff)
                self.narrow = nn.Linear(d_ff, d_model)

            def forward(self, x):
                self.make()
                return x + self.narrow(F.relu(self.widen(self.norm(x))))

        def feed_forward_layer(d_model, d_ff):
            return Layer(d_model, d_ff)
        """,
    ),
]

ACCUMULATED = [
    wrong(
        "the mean of means",
        "the mean of the pieces' means is not the mean of the batch",
        """
        def accumulated_gradient(weight, pieces):
            weight = weight.detach().clone().requires_grad_()
            for x, y in pieces:
                if (y >= 0).any():
                    loss = F.cross_entropy(x @ weight, y, ignore_index=-1)
                    (loss / len(pieces)).backward()
            return torch.zeros_like(weight) if weight.grad is None else weight.grad
        """,
    ),
    wrong(
        "not divided at all",
        "the pieces' means are added, not averaged",
        """
        def accumulated_gradient(weight, pieces):
            weight = weight.detach().clone().requires_grad_()
            for x, y in pieces:
                if (y >= 0).any():
                    F.cross_entropy(x @ weight, y, ignore_index=-1).backward()
            return torch.zeros_like(weight) if weight.grad is None else weight.grad
        """,
    ),
    wrong(
        "the sum",
        "the sum is not divided by what counts",
        """
        def accumulated_gradient(weight, pieces):
            weight = weight.detach().clone().requires_grad_()
            for x, y in pieces:
                loss = F.cross_entropy(
                    x @ weight, y, ignore_index=-1, reduction="sum"
                )
                loss.backward()
            return weight.grad
        """,
    ),
    wrong(
        "padding is counted",
        "padding counts in the number that you divide by",
        """
        def accumulated_gradient(weight, pieces):
            weight = weight.detach().clone().requires_grad_()
            total = sum(len(y) for _, y in pieces)
            for x, y in pieces:
                loss = F.cross_entropy(
                    x @ weight, y, ignore_index=-1, reduction="sum"
                )
                (loss / total).backward()
            return weight.grad
        """,
    ),
    wrong(
        "zero_grad inside the loop",
        "only the last piece is left",
        """
        def accumulated_gradient(weight, pieces):
            weight = weight.detach().clone().requires_grad_()
            total = max(sum((y >= 0).sum().item() for _, y in pieces), 1)
            for x, y in pieces:
                weight.grad = None
                loss = F.cross_entropy(
                    x @ weight, y, ignore_index=-1, reduction="sum"
                )
                (loss / total).backward()
            return weight.grad
        """,
    ),
    wrong(
        "divides by 0 when nothing counts",
        "nothing counts: do not divide by 0",
        """
        def accumulated_gradient(weight, pieces):
            total, gradient = torch.tensor(0), torch.zeros_like(weight)
            for x, y in pieces:
                real = y >= 0
                error = (x[real] @ weight).softmax(-1)
                error[torch.arange(int(real.sum())), y[real]] -= 1
                gradient = gradient + x[real].T @ error
                total = total + real.sum()
            return gradient / total
        """,
    ),
    right(
        "by hand, p - y",
        """
        def accumulated_gradient(weight, pieces):
            total, gradient = 0, torch.zeros_like(weight)
            for x, y in pieces:
                real = y >= 0
                error = (x[real] @ weight).softmax(-1)
                error[torch.arange(int(real.sum())), y[real]] -= 1
                gradient = gradient + x[real].T @ error
                total += int(real.sum())
            return gradient / max(total, 1)
        """,
    ),
    right(
        "means, weighted by what counts",
        """
        def accumulated_gradient(weight, pieces):
            counts = [(y >= 0).sum().item() for _, y in pieces]
            gradient = torch.zeros_like(weight)
            for count, (x, y) in zip(counts, pieces):
                if count:
                    w = weight.detach().clone().requires_grad_()
                    loss = F.cross_entropy(x @ w, y, ignore_index=-1)
                    (g,) = torch.autograd.grad(loss, w)
                    gradient += g * count / sum(counts)
            return gradient
        """,
    ),
    right(
        "by hand in float32",
        """
        def accumulated_gradient(weight, pieces):
            weight = weight.float()
            gradient, count = torch.zeros_like(weight), 0
            for inputs, targets in pieces:
                inputs, targets = inputs[targets >= 0].float(), targets[targets >= 0]
                p = (inputs @ weight).softmax(-1)
                gradient += inputs.T @ (p - F.one_hot(targets, weight.shape[1]))
                count += len(targets)
            return gradient / max(count, 1)
        """,
    ),
]

TIME = [
    wrong(
        "scores alone, without the mix",
        "count both",
        """
        def time_for_share(d_model, d_ff, share):
            return 2 * share / (1 - share) * (2 * d_model + d_ff)
        """,
    ),
    wrong(
        "no feed-forward net",
        "the feed-forward net is missing",
        """
        def time_for_share(d_model, d_ff, share):
            return share / (1 - share) * 2 * d_model
        """,
    ),
    wrong(
        "no attention matrices",
        "attention's four matrices are missing",
        """
        def time_for_share(d_model, d_ff, share):
            return share / (1 - share) * d_ff
        """,
    ),
    wrong(
        "against the rest",
        "this takes attention against the rest, not against all",
        """
        def time_for_share(d_model, d_ff, share):
            return share * (2 * d_model + d_ff)
        """,
    ),
    wrong(
        "the share of the matrices",
        "the share is of attention itself",
        """
        def time_for_share(d_model, d_ff, share):
            return (1 - share) / share * (2 * d_model + d_ff)
        """,
    ),
    right(
        "the equation as it stands",
        """
        def time_for_share(d_model, d_ff, share):
            maps = 8 * d_model**2 + 4 * d_model * d_ff
            return share * maps / (4 * d_model * (1 - share))
        """,
    ),
    right(
        "by bisection",
        """
        def time_for_share(d_model, d_ff, share):
            low, high = 0.0, 1e9
            for _ in range(200):
                time = (low + high) / 2
                part = 4 * time * d_model
                whole = 8 * d_model**2 + 4 * d_model * d_ff + part
                low, high = (time, high) if part / whole < share else (low, time)
            return low
        """,
    ),
    wrong(
        "rounded",
        "not rounded, please",
        """
        def time_for_share(d_model, d_ff, share):
            return round(share / (1 - share) * (2 * d_model + d_ff))
        """,
    ),
    wrong(
        "rounded down",
        "rounded down",
        """
        def time_for_share(d_model, d_ff, share):
            return int(share / (1 - share) * (2 * d_model + d_ff) + 1e-6)
        """,
    ),
]

LINES = [
    wrong(
        "in bits",
        "this is in bits: use the natural logarithm",
        """
        def predicted_lines(chain):
            n = len(chain)
            lazy = (chain + torch.eye(n, dtype=chain.dtype)) / 2
            often = torch.linalg.matrix_power(lazy, 4096)[0]
            rows = torch.special.entr(chain).sum(-1)
            nats = math.log(n), torch.special.entr(often).sum(), (often * rows).sum()
            return tuple(float(x) / math.log(2) for x in nats)
        """,
    ),
    wrong(
        "one step of the chain",
        "how often the tokens come is not settled",
        """
        def predicted_lines(chain):
            often = chain.mean(0)
            rows = torch.special.entr(chain).sum(-1)
            unigram = torch.special.entr(often).sum().item()
            return math.log(len(chain)), unigram, (often * rows).sum().item()
        """,
    ),
    wrong(
        "all tokens equally often",
        (
            "the tokens do not all come equally often",
            "rows of frequent tokens weigh more",
        ),
        """
        def predicted_lines(chain):
            rows = torch.special.entr(chain).sum(-1)
            return math.log(len(chain)), math.log(len(chain)), rows.mean().item()
        """,
    ),
    wrong(
        "columns for rows",
        "chain[i, j] goes from i to j: rows, not columns",
        """
        def predicted_lines(chain):
            n = len(chain)
            lazy = (chain + torch.eye(n, dtype=chain.dtype)) / 2
            often = torch.linalg.matrix_power(lazy, 4096)[0]
            back = chain.T / chain.T.sum(-1, keepdim=True)
            rows = torch.special.entr(back).sum(-1)
            unigram = torch.special.entr(often).sum().item()
            return math.log(n), unigram, (often * rows).sum().item()
        """,
    ),
    wrong(
        "0 ln 0 is nan",
        "0 ln 0 counts as 0",
        """
        def predicted_lines(chain):
            n = len(chain)
            lazy = (chain + torch.eye(n, dtype=chain.dtype)) / 2
            often = torch.linalg.matrix_power(lazy, 4096)[0]
            rows = -(chain * chain.log()).sum(-1)
            unigram = -(often * often.log()).sum().item()
            return math.log(n), unigram, (often * rows).sum().item()
        """,
    ),
    wrong(
        "the rows' entropies added up",
        "the rows have to be weighted, not added",
        """
        def predicted_lines(chain):
            n = len(chain)
            lazy = (chain + torch.eye(n, dtype=chain.dtype)) / 2
            often = torch.linalg.matrix_power(lazy, 4096)[0]
            rows = torch.special.entr(chain).sum()
            return math.log(n), torch.special.entr(often).sum().item(), rows.item()
        """,
    ),
    right(
        "a lazy chain, many steps",
        """
        def predicted_lines(chain):
            n = len(chain)
            lazy = (chain + torch.eye(n, dtype=chain.dtype)) / 2
            often = torch.linalg.matrix_power(lazy, 4096)[0]
            rows = torch.special.entr(chain).sum(-1)
            unigram = torch.special.entr(often).sum().item()
            return math.log(n), unigram, (often * rows).sum().item()
        """,
    ),
    right(
        "by the eigenvector, entropies from pairs",
        """
        def predicted_lines(chain):
            values, vectors = torch.linalg.eig(chain.T)
            often = vectors[:, (values - 1).abs().argmin()].real
            often = often / often.sum()
            pairs = often[:, None] * chain
            unigram = torch.special.entr(often).sum()
            bigram = torch.special.entr(pairs).sum() - unigram
            return math.log(len(chain)), unigram.item(), bigram.item()
        """,
    ),
    wrong(
        "a thousand steps of the chain",
        "from all alike it swings for ever",
        """
        def predicted_lines(chain):
            often = torch.linalg.matrix_power(chain, 1000).mean(0)
            rows = torch.special.entr(chain).sum(-1)
            unigram = torch.special.entr(often).sum().item()
            return math.log(len(chain)), unigram, (often * rows).sum().item()
        """,
    ),
]

TIED = [
    wrong(
        "assigned, not added",
        "this keeps its last place alone",
        """
        def tied_gradients(table, ids, targets):
            h = table[ids]
            error = (h @ table.T).softmax(-1) - F.one_hot(targets, len(table))
            error = error / len(ids)
            as_input = torch.zeros_like(table)
            as_input[ids] = error @ table
            return as_input, error.T @ h
        """,
    ),
    wrong(
        "not divided by n",
        "the mean divides by the number of places",
        """
        def tied_gradients(table, ids, targets):
            h = table[ids]
            error = (h @ table.T).softmax(-1) - F.one_hot(targets, len(table))
            as_input = torch.zeros_like(table).index_add(0, ids, error @ table)
            return as_input, error.T @ h
        """,
    ),
    wrong(
        "p instead of p - y",
        "y is missing: this is p alone",
        """
        def tied_gradients(table, ids, targets):
            h = table[ids]
            error = (h @ table.T).softmax(-1) / len(ids)
            as_input = torch.zeros_like(table).index_add(0, ids, error @ table)
            return as_input, error.T @ h
        """,
    ),
    wrong(
        "swapped",
        "the two gradients are swapped",
        """
        def tied_gradients(table, ids, targets):
            h = table[ids]
            error = (h @ table.T).softmax(-1) - F.one_hot(targets, len(table))
            error = error / len(ids)
            as_input = torch.zeros_like(table).index_add(0, ids, error @ table)
            return error.T @ h, as_input
        """,
    ),
    wrong(
        "only the rows that were read",
        "every row of the output layer gets a gradient",
        """
        def tied_gradients(table, ids, targets):
            h = table[ids]
            error = (h @ table.T).softmax(-1) - F.one_hot(targets, len(table))
            error = error / len(ids)
            as_input = torch.zeros_like(table).index_add(0, ids, error @ table)
            seen = torch.isin(torch.arange(len(table)), ids)[:, None]
            return as_input, error.T @ h * seen
        """,
    ),
    wrong(
        "the sum, twice",
        "one by one, not their sum",
        """
        def tied_gradients(table, ids, targets):
            h = table[ids]
            error = (h @ table.T).softmax(-1) - F.one_hot(targets, len(table))
            error = error / len(ids)
            both = torch.zeros_like(table).index_add(0, ids, error @ table)
            both = both + error.T @ h
            return both, both
        """,
    ),
    wrong(
        "automatic differentiation",
        "may not be used here",
        """
        def tied_gradients(table, ids, targets):
            read = table.clone().requires_grad_()
            score = table.clone().requires_grad_()
            logits = read[ids] @ score.T
            right = logits.gather(1, targets[:, None])[:, 0]
            (logits.logsumexp(-1) - right).mean().backward()
            return read.grad, score.grad
        """,
    ),
    right(
        "with one-hot matrices",
        """
        def tied_gradients(table, ids, targets):
            x = F.one_hot(ids, len(table)).to(table.dtype)
            y = F.one_hot(targets, len(table)).to(table.dtype)
            error = ((x @ table @ table.T).softmax(-1) - y) / len(ids)
            return x.T @ error @ table, error.T @ x @ table
        """,
    ),
    right(
        "place by place",
        """
        def tied_gradients(table, ids, targets):
            as_input, as_output = torch.zeros_like(table), torch.zeros_like(table)
            for id, target in zip(ids.tolist(), targets.tolist()):
                error = (table @ table[id]).softmax(0)
                error[target] -= 1
                error /= len(ids)
                as_input[id] += error @ table
                as_output += torch.outer(error, table[id])
            return as_input, as_output
        """,
    ),
    wrong(
        "autograd under the name vjp",
        "may not be used here",
        """
        def tied_gradients(table, ids, targets):
            def loss(read, score):
                log_p = (read[ids] @ score.T).softmax(-1).log()
                return -log_p[torch.arange(len(ids)), targets].mean()

            return torch.func.vjp(loss, table, table)[1](torch.ones_like(table[0, 0]))
        """,
    ),
]

ANSWERS = {
    "renumber": RENUMBER,
    "feed_forward_layer": LAYER,
    "accumulated_gradient": ACCUMULATED,
    "time_for_share": TIME,
    "predicted_lines": LINES,
    "tied_gradients": TIED,
}

EQUIVALENT = {
    "accumulated_gradient": {
        "weight = weight.clone().requires_grad_()": "what is given is a plain tensor",
        "weight = weight.detach().requires_grad_()": "nothing is changed in place",
        "inputs.detach() @ weight, …": "the inputs learn nothing",
        "(loss / total).backward()": "PyTorch gives an ignored target the gradient 0",
        "(loss / max(total, 0)).backward()": (
            "PyTorch gives an ignored target the gradient 0"
        ),
        "return spoiling(weight, (weight.grad))": "by then this is a copy",
    },
    "predicted_lines": {
        "stays = torch.eye(… - chain.T": "0 on the other side: the sign is free",
        "stays = chain.T - torch.eye(n)": "0 and 1 are exact in float32",
        "….solution[:, (-1)]": "there is one column",
        "….entr(chain).sum(1)…": "the last of two axes",
    },
    "tied_gradients": {
        "….detach()…": "nobody differentiates what is worked out by hand",
        "….softmax(1)…": "the last of two axes",
        "error = error / len(targets)…": "there are as many targets as ids",
    },
}
