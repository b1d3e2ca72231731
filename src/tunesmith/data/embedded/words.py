"""The vocabulary: concepts of a kitchen, each with its names in English and Chinese.

A line is one concept, English before the bar and Chinese after it. A comma separates synonyms; a
slash separates two forms of one English word (`potato/potatoes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

__all__ = ["LANGUAGES", "Concept", "Language", "concepts", "opposite"]

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """One meaning.

    Attributes:
        kind: what sort of thing, such as "ingredient" or "time".
        name: the first English word for it.
        en: its English names, each as (plain form, other form).
        zh: its Chinese names, which have one form.
    """

    kind: str
    name: str
    en: tuple[tuple[str, str], ...]
    zh: tuple[str, ...]

    def ways(self, language: Language, *, other_form: bool = False) -> tuple[str, ...]:
        """Return all names; `other_form` is the plural of nouns, the -ing form of verbs."""
        if language == "zh":
            return self.zh
        return tuple(forms[other_form] for forms in self.en)


_SAVOURY = """
potato/potatoes, spud/spuds | 土豆, 马铃薯
tomato/tomatoes | 番茄, 西红柿
eggplant/eggplants, aubergine/aubergines | 茄子, 矮瓜
zucchini, courgette/courgettes | 西葫芦, 角瓜
mushroom/mushrooms | 蘑菇, 口蘑
spinach | 菠菜, 波斯菜
cabbage | 卷心菜, 包菜
carrot/carrots | 胡萝卜, 红萝卜
leek/leeks | 大葱, 京葱
chickpea/chickpeas, garbanzo/garbanzos | 鹰嘴豆, 鸡豆
lentil/lentils | 扁豆, 小扁豆
bean/beans | 豆角, 四季豆
corn, maize | 玉米, 苞米
pepper/peppers, capsicum/capsicums | 甜椒, 灯笼椒
pumpkin | 南瓜, 倭瓜
beef | 牛肉
lamb, mutton | 羊肉
pork | 猪肉
chicken | 鸡肉
duck | 鸭肉
shrimp, prawn/prawns | 虾, 虾仁
squid, calamari | 鱿鱼, 枪乌贼
salmon | 三文鱼, 鲑鱼
tuna | 金枪鱼, 吞拿鱼
tofu, bean curd | 豆腐
cheese | 奶酪, 芝士
egg/eggs | 鸡蛋
peanut/peanuts, groundnut/groundnuts | 花生, 长生果
cilantro, coriander | 香菜, 芫荽
scallion/scallions, green onion/green onions | 小葱, 香葱
arugula, rocket | 芝麻菜, 火箭菜
beet/beets, beetroot | 甜菜, 红菜头
"""
_SWEET = """
apple/apples | 苹果
pear/pears | 梨子
plum/plums | 李子
cherry/cherries | 樱桃, 车厘子
strawberry/strawberries | 草莓
blueberry/blueberries | 蓝莓
pineapple | 菠萝, 凤梨
mango | 芒果
banana/bananas | 香蕉
grape/grapes | 葡萄
lemon/lemons | 柠檬
coconut | 椰子
almond/almonds | 杏仁
walnut/walnuts | 核桃
hazelnut/hazelnuts, filbert/filberts | 榛子
chestnut/chestnuts | 栗子, 板栗
honey | 蜂蜜
chocolate | 巧克力, 朱古力
vanilla | 香草
ginger | 生姜, 姜
"""
_SAVOURY_DISHES = """
soup | 汤
stew, ragout | 炖菜, 煲
salad | 沙拉, 色拉
noodles | 面条, 面
fried rice | 炒饭
omelette | 蛋卷, 蛋饼
curry | 咖喱
dumplings | 饺子, 水饺
skewers, kebabs | 串烧, 烤串
gratin, bake | 焗菜, 焗烤
sandwich | 三明治, 三文治
pizza | 披萨, 比萨
"""
_SWEET_DISHES = """
pie | 派, 馅饼
cake | 蛋糕
tart | 挞, 果挞
pancakes | 煎饼, 薄饼
ice cream | 冰淇淋, 冰激凌
pudding | 布丁
jam, preserve | 果酱
cookies, biscuits | 饼干, 曲奇
"""
_WORKERS = """
the cook, the chef | 厨师, 大厨
the waiter, the server | 服务员, 侍者
the baker | 面包师
the butcher | 肉贩, 卖肉的
the manager, the head of the house | 经理
the owner, the proprietor | 老板, 店主
the apprentice, the trainee | 学徒, 徒弟
the supplier, the wholesaler | 供应商, 供货商
the courier, the delivery rider | 外卖员, 送餐员
the dishwasher, the scullion | 洗碗工
the bartender, the barkeeper | 调酒师, 酒保
the cashier | 收银员
the gardener | 园丁
the fishmonger | 鱼贩, 卖鱼的
the neighbour | 邻居
the accountant, the bookkeeper | 会计
the photographer | 摄影师
the teacher | 老师
the doctor, the physician | 医生, 大夫
the bride | 新娘
"""
_PLACES = """
the terrace, the outdoor area | 露台, 户外区
the table by the window, the window table | 靠窗的桌子, 窗边的桌子
the private room, the back room | 包间, 包厢
the garden | 花园
the bar, the counter | 吧台
the cellar, the basement | 地窖, 地下室
the hall, the main room | 大厅, 大堂
the roof | 屋顶
the corner table, the table in the corner | 角落的桌子
the round table | 圆桌
the upper floor, the upstairs floor | 楼上, 二楼
the old kitchen | 老厨房
"""
_THINGS = """
knife | 刀, 菜刀
pan, skillet | 平底锅, 煎锅
pot, saucepan | 汤锅, 锅子
ladle | 汤勺, 长柄勺
whisk | 打蛋器
tray | 托盘, 盘子
apron | 围裙
key | 钥匙
bill, check | 账单
menu, bill of fare | 菜单
recipe book, cookbook | 菜谱, 食谱
scales | 秤
cutting board, chopping board | 砧板, 案板
napkins, serviettes | 餐巾, 餐巾纸
lighter | 打火机
tip | 小费
"""
_TIMES = """
tonight, this evening | 今晚, 今天晚上
this morning | 今早, 今天早上
tomorrow morning | 明早, 明天早上
tomorrow night, tomorrow evening | 明晚, 明天晚上
on Monday | 周一, 星期一
on Tuesday | 周二, 星期二
on Wednesday | 周三, 星期三
on Thursday | 周四, 星期四
on Friday | 周五, 星期五
on Saturday | 周六, 星期六
on Sunday | 周日, 星期天
at noon, at twelve o'clock | 中午, 十二点
at six o'clock, at 6 | 六点, 6点
at seven o'clock, at 7 | 七点, 7点
at eight o'clock, at 8 | 八点, 8点
at nine o'clock, at 9 | 九点, 9点
at midnight | 午夜, 半夜
in the early afternoon, soon after lunch | 午后, 下午早些时候
next week, in the coming week | 下周, 下个星期
next month, in the coming month | 下个月, 下月
"""
_SPANS = """
five minutes, 5 minutes | 五分钟, 5分钟
ten minutes, 10 minutes | 十分钟, 10分钟
a quarter of an hour, 15 minutes, fifteen minutes | 一刻钟, 15分钟, 十五分钟
twenty minutes, 20 minutes | 二十分钟, 20分钟
half an hour, 30 minutes, thirty minutes | 半小时, 半个钟头, 30分钟
forty minutes, 40 minutes | 四十分钟, 40分钟
three quarters of an hour, 45 minutes | 三刻钟, 45分钟
an hour, 60 minutes, one hour | 一小时, 一个钟头, 60分钟
an hour and a half, 90 minutes | 一个半小时, 90分钟
two hours, 2 hours | 两小时, 两个钟头, 2小时
three hours, 3 hours | 三小时, 3小时
four hours, 4 hours | 四小时, 4小时
"""
_COUNTS = """
two, 2 | 两, 2
three, 3 | 三, 3
four, 4 | 四, 4
five, 5 | 五, 5
six, 6, half a dozen | 六, 6, 半打
seven, 7 | 七, 7
eight, 8 | 八, 8
nine, 9 | 九, 9
ten, 10 | 十, 10
twelve, 12, a dozen | 十二, 12, 一打
fifteen, 15 | 十五, 15
twenty, 20 | 二十, 20
twenty-four, 24, two dozen | 二十四, 24, 两打
thirty, 30 | 三十, 30
forty, 40 | 四十, 40
"""
_PRICES = """
four euros, 4 euros | 四元, 4元, 四块钱
five euros, 5 euros | 五元, 5元, 五块钱
six euros, 6 euros | 六元, 6元, 六块钱
eight euros, 8 euros | 八元, 8元, 八块钱
nine euros, 9 euros | 九元, 9元, 九块钱
ten euros, 10 euros | 十元, 10元, 十块钱
twelve euros, 12 euros | 十二元, 12元, 十二块钱
fifteen euros, 15 euros | 十五元, 15元, 十五块钱
eighteen euros, 18 euros | 十八元, 18元, 十八块钱
twenty euros, 20 euros | 二十元, 20元, 二十块钱
thirty euros, 30 euros | 三十元, 30元, 三十块钱
"""
_WEIGHTS = """
half a kilo, 500 grams | 半公斤, 一斤, 500克
one kilo, a kilo, 1000 grams | 一公斤, 两斤, 1公斤
two kilos, 2 kilos | 两公斤, 四斤, 2公斤
three kilos, 3 kilos | 三公斤, 六斤, 3公斤
five kilos, 5 kilos | 五公斤, 十斤, 5公斤
eight kilos, 8 kilos | 八公斤, 8公斤
ten kilos, 10 kilos | 十公斤, 10公斤
twenty kilos, 20 kilos | 二十公斤, 20公斤
"""
_DEGREES = """
120 degrees | 120度
150 degrees | 150度
160 degrees | 160度
180 degrees | 180度
200 degrees | 200度
220 degrees | 220度
240 degrees | 240度
"""
_DEEDS = """
wash the rice/washing the rice, rinse the rice/rinsing the rice | 洗米, 淘米
chop the onions/chopping the onions, cut the onions/cutting the onions | 切洋葱
set the tables/setting the tables, lay the tables/laying the tables | 摆桌子
heat the oven/heating the oven | 预热烤箱, 烧热烤箱
knead the dough/kneading the dough | 揉面
sharpen the knives/sharpening the knives | 磨刀
sweep the floor/sweeping the floor | 扫地
count the money/counting the money | 数钱, 点钱
call the guests/calling the guests, ring up the guests/ringing up the guests | 给客人打电话
peel the garlic/peeling the garlic | 剥蒜, 剥大蒜
light the candles/lighting the candles | 点蜡烛
polish the glasses/polishing the glasses | 擦杯子, 擦玻璃杯
"""
_QUALITIES = """
hot, not cold, anything but cold | 很烫, 一点也不凉
cold, not hot, anything but hot | 很凉, 一点也不烫
salty, not bland, anything but bland | 很咸, 一点也不淡
bland, not salty, anything but salty | 很淡, 一点也不咸
fresh, not stale, anything but stale | 很新鲜, 一点也不陈
stale, not fresh, anything but fresh | 很陈, 一点也不新鲜
tender, not tough, anything but tough | 很嫩, 一点也不老
tough, not tender, anything but tender | 很老, 一点也不嫩
sweet, not sour, anything but sour | 很甜, 一点也不酸
sour, not sweet, anything but sweet | 很酸, 一点也不甜
crisp, not soggy, anything but soggy | 很脆, 一点也不软
soggy, not crisp, anything but crisp | 很软, 一点也不脆
mild, not spicy, anything but spicy | 很温和, 一点也不辣
spicy, not mild, anything but mild | 很辣, 一点也不温和
"""

_TABLES = {
    "person": _WORKERS,
    "place": _PLACES,
    "thing": _THINGS,
    "time": _TIMES,
    "span": _SPANS,
    "count": _COUNTS,
    "price": _PRICES,
    "weight": _WEIGHTS,
    "degrees": _DEGREES,
    "deed": _DEEDS,
    "quality": _QUALITIES,
    "ingredient": _SAVOURY + _SWEET.lstrip(),
}


@cache
def concepts(kind: str) -> tuple[Concept, ...]:
    """Return all concepts of a kind, in the order of the tables; dishes are composed."""
    if kind == "dish":
        return (*_dishes(_SAVOURY, _SAVOURY_DISHES), *_dishes(_SWEET, _SWEET_DISHES))
    return tuple(_read(kind, line) for line in _TABLES[kind].strip().splitlines())


def opposite(quality: Concept) -> Concept:
    """Return the opposite of a quality, such as cold for hot; the table lists them in pairs."""
    table = concepts("quality")
    return table[table.index(quality) ^ 1]


def _read(kind: str, line: str) -> Concept:
    english, chinese = line.split(" | ")
    forms = [word.split("/") for word in english.split(", ")]
    pairs = tuple((form[0], form[-1]) for form in forms)
    return Concept(kind, pairs[0][0], pairs, tuple(chinese.split(", ")))


def _dishes(ingredients: str, dishes: str) -> tuple[Concept, ...]:
    """Combine every ingredient with every dish: mushroom soup, 蘑菇汤."""
    combined = []
    for first in (_read("", line) for line in ingredients.strip().splitlines()):
        for second in (_read("", line) for line in dishes.strip().splitlines()):
            english = tuple((f"{a} {b}",) * 2 for a, _plural in first.en for b, _same in second.en)
            chinese = tuple(a + b for a in first.zh for b in second.zh)
            combined.append(Concept("dish", english[0][0], english, chinese))
    return tuple(combined)
